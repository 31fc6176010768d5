"""Convert the providers' own input types to the JSON Schemas under `schemas/native/`.

`python -m tools.native_schemas build` downloads the packages pinned in `sources.yaml` with npm and pip,
converts them and writes the schemas and their manifest; `... check` compares what is on disk with the
manifest and needs neither node nor network. README.md beside this file has the whole story.
"""

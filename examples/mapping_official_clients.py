"""The mapping with the providers' official clients: one request, and each client gets what it takes."""

import os
import tempfile
from pathlib import Path

import trustme

from execution_arrow.sandbox import Sandbox
from rosetta_bridge import Catalog

# Stand-ins, so that this runs without keys. fal's client insists on https: they get a certificate made here.
folder = Path(tempfile.mkdtemp())
authority = trustme.CA()
certificate = authority.issue_cert("localhost")
authority.cert_pem.write_to_path(str(folder / "ca.pem"))
certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
os.environ["SSL_CERT_FILE"] = str(folder / "ca.pem")
sandbox = Sandbox(tls=(str(folder / "server.pem"), str(folder / "server.pem")))
sandbox.start()
os.environ.update(sandbox.environment())  # REPLICATE_BASE_URL, FAL_QUEUE_RUN_HOST, and made-up keys

import fal_client  # noqa: E402 - it reads its hosts when it is imported
import replicate  # noqa: E402

model = Catalog.shipped()["bytedance/seedream-4.5"]
request = model.normalize({"generation_prompt": "a lighthouse", "generation_ratio": "16:9"})

payload = model.render(request, "replicate")
prediction = replicate.models.predictions.create(payload.model, input=payload.arguments)
prediction.wait()
print("replicate", payload.arguments["aspect_ratio"], prediction.output)

payload = model.render(request, "fal")
result = fal_client.subscribe(payload.model, arguments=payload.arguments)
print("fal", payload.arguments["image_size"], [image["url"] for image in result["images"]])

assert prediction.status == "succeeded"
assert payload.arguments["image_size"] == {"width": 2848, "height": 1600}
for line in model.explain(request):
    print(line)  # the other providers, each with its own reason if it cannot
for provider, cost in model.estimate(request).items():
    print(provider, cost and cost.micros)  # before anything was sent
sandbox.close()

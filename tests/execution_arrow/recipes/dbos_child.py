"""A process that drives one generation with DBOS: `begin` starts the workflow, `recover` waits for it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from dbos import DBOS, SetWorkflowID

from execution_arrow import Arrow
from execution_arrow.credentials import EnvironmentCredentials
from execution_arrow.egress import EgressPolicy

folder, plan, what = Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
DBOS(
    config={
        "name": "media",
        "system_database_url": f"sqlite:///{folder}/dbos.sqlite",
        "run_admin_server": False,
        "application_version": "1",
    }
)


@DBOS.step(retries_allowed=True, max_attempts=10)
def visit(generation_id: str) -> float | None:
    return arrow.advance(generation_id).pause(time.time())


@DBOS.workflow()
def drive(generation_id: str) -> str:
    while (pause := visit(generation_id)) is not None:
        DBOS.sleep(pause)
    return str(arrow.get(generation_id).status)


with Arrow.open(
    folder / "data",
    base_urls=plan["urls"],
    credentials=EnvironmentCredentials(plan["environment"]),
    egress=EgressPolicy(allow_loopback=True),
) as arrow:
    DBOS.launch()
    if what == "begin":
        arrow.ledger.grant("acct", "5", key="hello", create=True)
        wish = {"generation_prompt": "a buoy", "generation_provider_order": "replicate"}
        with SetWorkflowID("one"):
            DBOS.start_workflow(drive, arrow.generate("bfl/flux-schnell", wish, account="acct").id)
    print(DBOS.retrieve_workflow("one").get_result())
    DBOS.destroy()

"""One picture, from request to settled result. Here local stand-ins answer, so no key is needed."""

import os

from execution_arrow import Arrow
from execution_arrow.egress import EgressPolicy
from execution_arrow.sandbox import PROVIDERS, Sandbox

with Sandbox() as sandbox:
    os.environ.update(sandbox.environment())  # made-up keys, where yours would be
    urls = {name: sandbox.base_url(name) for name in PROVIDERS}
    with Arrow.open("media-data", base_urls=urls, egress=EgressPolicy(allow_loopback=True)) as arrow:
        arrow.ledger.grant("acct_1", "5", key="hello", create=True)
        asked = {"generation_prompt": "a lighthouse", "generation_ratio": "16:9"}
        done = arrow.generate_and_wait(
            "bytedance/seedream-4.5", asked, account="acct_1", idempotency_key="order-118", timeout=120
        )
        print(done.status, done.provider_used, done.charged, [str(file.path) for file in done.files])
        print(arrow.ledger.balance("acct_1"))

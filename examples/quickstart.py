"""One picture, from request to settled result. Here local stand-ins answer, so no key is needed."""

from execution_arrow import Arrow
from execution_arrow.sandbox import Sandbox

# Local stand-ins for the providers; leave them out to use your own keys.
with Sandbox() as sandbox, Arrow.open("media-data", **sandbox.options()) as arrow:
    arrow.ledger.grant("acct_1", "5", key="hello", create=True)
    asked = {"generation_prompt": "a lighthouse", "generation_ratio": "16:9"}
    done = arrow.generate_and_wait(
        "bytedance/seedream-4.5", asked, account="acct_1", idempotency_key="order-118", timeout=120
    )
    print(done.status, done.provider_used, done.charged, [str(file.path) for file in done.files])
    print(arrow.ledger.balance("acct_1"))

"""The ranking over a client of your own: it says whom to ask first, you ask, and tell it how that went."""

import httpx

from adaptive_island import Island
from execution_arrow.sandbox import Sandbox, Timing  # local stand-ins; your own client asks the real ones

MODEL, PROVIDERS = "bfl/flux-schnell", ("cloudflare", "replicate", "fal")  # in your own order of fallback
COSTS = {"cloudflare": 634, "replicate": 3_000, "fal": 3_000}  # micro-credits


def make(island: Island, ask: dict[str, httpx.Request], client: httpx.Client) -> str:
    """One picture, from whoever delivers first."""
    for provider in island.rank(MODEL, PROVIDERS, order="fastest", costs=COSTS):
        with island.attempt(MODEL, provider) as ticket:  # counted from now on
            if ticket.skip:  # its breaker is open
                continue
            try:
                reply = client.send(ask[provider])
            except httpx.ConnectError:  # certainly not sent: the next one may be asked
                ticket.fail()
                continue
            # Any other exception leaves the block: perhaps received and billed, so `unknown`. So is a 5xx.
            if reply.status_code == 429:
                ticket.fail(retry_after=float(reply.headers.get("retry-after", 1)))
                continue
            if (
                reply.is_client_error
            ):  # a wrong request counts against nobody, a wrong key against the account
                ticket.fail("account" if reply.status_code in (401, 402, 403) else "caller")
            reply.raise_for_status()
            ticket.succeed(cost=COSTS[provider])
            return provider
    raise RuntimeError("nobody could be asked")


with (
    Sandbox(timing=Timing(image=0.1)) as sandbox,
    httpx.Client(headers={"authorization": "Bearer made-up", "prefer": "wait"}) as client,
    Island.open("memory:") as island,
):
    account, body = sandbox.environment()["CLOUDFLARE_ACCOUNT_ID"], {"prompt": "a lighthouse"}
    hosted = f"/accounts/{account}/ai/run/@cf/black-forest-labs/flux-1-schnell"
    official = "/v1/models/black-forest-labs/flux-schnell/predictions"
    ask = {
        "cloudflare": client.build_request("POST", sandbox.base_url("cloudflare") + hosted, json=body),
        "replicate": client.build_request(
            "POST", sandbox.base_url("replicate") + official, json={"input": body}
        ),
        "fal": client.build_request("POST", sandbox.base_url("fal-run") + "/fal-ai/flux/schnell", json=body),
    }
    sandbox.fault("cloudflare", "down")
    assert [make(island, ask, client) for _ in range(4)] == ["replicate"] * 4
    assert island.rank(MODEL, PROVIDERS, order="fastest", costs=COSTS)[-1] == "cloudflare"  # it has learned
    for line in island.explain(MODEL, PROVIDERS, order="fastest", costs=COSTS):
        print(line.position, line.provider, line.success, line.reason)

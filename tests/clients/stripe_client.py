"""Does with Stripe's Python library, unchanged, what it is told on standard input.

Each line is one call, {"call": …, "ids": […], "parameters": {…}, "options": {…}}, and is answered by one line:
{"value": …, "replayed": …} or {"error": {"class", "code", "param", "status"}}. Calls and answers have the same names in
stripe_client.js, so that one test is a test of both libraries.

    stripe_client.py API_BASE API_KEY
"""

import json
import sys

import stripe

api_base, api_key = sys.argv[1:]
# Also when somebody sets it for the machine: only what a call asks for is sent again.
client = stripe.StripeClient(api_key, base_addresses={"api": api_base}, max_network_retries=0)
v1 = client.v1

CALLS = {
    "transfers.create": v1.transfers.create,
    "transfers.retrieve": v1.transfers.retrieve,
    "transfers.update": v1.transfers.update,
    "transfers.list": v1.transfers.list,
    "transfers.reverse": v1.transfers.reversals.create,
    "transfers.reversals": v1.transfers.reversals.list,
    "balance": v1.balance.retrieve,
    "balance_transactions.list": v1.balance_transactions.list,
    "account": v1.accounts.retrieve_current,
    "accounts.retrieve": v1.accounts.retrieve,
    "events.list": v1.events.list,
}


def answer(call, ids=(), parameters=None, options=None):
    parameters = parameters or {}
    if call == "webhook":
        return {"value": plain(stripe.Webhook.construct_event(**parameters))}
    if call == "sign":
        # As its own tests sign.
        signed = f"{parameters['timestamp']}.{parameters['payload']}"
        code = stripe.WebhookSignature._compute_signature(signed, parameters["secret"])
        return {"value": f"t={parameters['timestamp']},v1={code}"}
    if call == "transfers.all":
        pages = v1.transfers.list(parameters, options or {})
        return {"value": [transfer.id for transfer in pages.auto_paging_iter()]}
    result = CALLS[call](*ids, parameters, options or {})
    headers = {name.lower(): value for name, value in result.last_response.headers.items()}
    return {"value": plain(result), "replayed": headers.get("idempotent-replayed") == "true"}


def plain(result):
    return json.loads(str(result))


for line in sys.stdin:
    try:
        said = answer(**json.loads(line))
    except stripe.StripeError as error:
        said = {
            "error": {
                "class": type(error).__name__,
                "code": error.code,
                "param": getattr(error, "param", None),
                "status": error.http_status,
            }
        }
    print(json.dumps(said), flush=True)

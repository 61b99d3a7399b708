// Does with Stripe's Node library, unchanged, what it is told on standard input.
//
// Calls and answers are those of stripe_client.py.
//
//     stripe_client.js API_BASE API_KEY

'use strict';

const readline = require('readline');
const Stripe = require('stripe');

const [apiBase, apiKey] = process.argv.slice(2);
const { protocol, hostname, port } = new URL(apiBase);
const stripe = new Stripe(apiKey, {
  protocol: protocol.replace(':', ''),
  host: hostname,
  port,
  // The library's own is 2: only what a call asks for is sent again.
  maxNetworkRetries: 0,
});

const CALLS = {
  'transfers.create': (...args) => stripe.transfers.create(...args),
  'transfers.retrieve': (...args) => stripe.transfers.retrieve(...args),
  'transfers.update': (...args) => stripe.transfers.update(...args),
  'transfers.list': (...args) => stripe.transfers.list(...args),
  'transfers.reverse': (...args) => stripe.transfers.createReversal(...args),
  'transfers.reversals': (...args) => stripe.transfers.listReversals(...args),
  balance: (...args) => stripe.balance.retrieve(...args),
  'balance_transactions.list': (...args) => stripe.balanceTransactions.list(...args),
  account: (...args) => stripe.accounts.retrieveCurrent(...args),
  'accounts.retrieve': (...args) => stripe.accounts.retrieve(...args),
  'events.list': (...args) => stripe.events.list(...args),
};

async function answer({ call, ids = [], parameters = {}, options = {} }) {
  if (call === 'webhook') {
    const { payload, sig_header, secret } = parameters;
    return { value: stripe.webhooks.constructEvent(payload, sig_header, secret) };
  }
  if (call === 'transfers.all') {
    const all = [];
    for await (const transfer of stripe.transfers.list(parameters, inNode(options))) all.push(transfer.id);
    return { value: all };
  }
  const value = await CALLS[call](...ids, parameters, inNode(options));
  return { value, replayed: value.lastResponse.headers['idempotent-replayed'] === 'true' };
}

function inNode({ api_key, idempotency_key, max_network_retries }) {
  const options = {};
  if (api_key !== undefined) options.apiKey = api_key;
  if (idempotency_key !== undefined) options.idempotencyKey = idempotency_key;
  if (max_network_retries !== undefined) options.maxNetworkRetries = max_network_retries;
  return options;
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let said;
    try {
      said = await answer(JSON.parse(line));
    } catch (error) {
      if (!(error instanceof Stripe.errors.StripeError)) throw error;
      said = {
        error: {
          // StripeIdempotencyError here is IdempotencyError in the other libraries.
          class: error.type.replace(/^Stripe/, ''),
          code: error.code ?? null,
          param: error.param ?? null,
          status: error.statusCode ?? null,
        },
      };
    }
    process.stdout.write(`${JSON.stringify(said)}\n`);
  }
}

main();

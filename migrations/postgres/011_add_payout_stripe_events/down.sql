DROP TABLE "payout_account_states";
DROP TABLE "payout_event_pulls";
DROP TABLE "payout_stripe_events";

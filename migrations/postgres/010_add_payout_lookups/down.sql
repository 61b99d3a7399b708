DROP TABLE "payout_lookups";

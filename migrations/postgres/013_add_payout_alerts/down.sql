DROP TABLE "payout_alerts";

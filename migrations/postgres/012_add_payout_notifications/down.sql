DROP TABLE "payout_notification_switches";
DROP TABLE "payout_notifications";

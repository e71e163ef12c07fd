CREATE TABLE `adjustments` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`key_seq` integer NOT NULL,
	`limit_name` text NOT NULL,
	`at` integer NOT NULL,
	`kind` text NOT NULL,
	`amount` integer NOT NULL,
	`reason` text NOT NULL
);
--> statement-breakpoint
CREATE INDEX `adjustments_by_key` ON `adjustments` (`key_seq`,`id`);--> statement-breakpoint
CREATE TABLE `calls` (
	`seq` integer PRIMARY KEY NOT NULL,
	`key_seq` integer NOT NULL,
	`at` integer NOT NULL,
	`upstream` text NOT NULL,
	`request_id` text NOT NULL,
	`outcome` text NOT NULL,
	`status` integer,
	`requests_reserved` integer NOT NULL,
	`requests_charged` integer NOT NULL,
	`tokens_reserved` integer NOT NULL,
	`tokens_charged` integer NOT NULL,
	`cost_reserved` integer NOT NULL,
	`cost_charged` integer NOT NULL,
	`latency_ms` integer NOT NULL,
	`bytes_in` integer NOT NULL,
	`bytes_out` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `calls_by_key` ON `calls` (`key_seq`,`seq`);--> statement-breakpoint
CREATE TABLE `counters` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`limit_id` integer NOT NULL,
	`period_start` integer NOT NULL,
	`period_end` integer,
	`amount` integer,
	`credited` integer DEFAULT 0 NOT NULL,
	`used` integer DEFAULT 0 NOT NULL,
	`pruned` integer DEFAULT 0 NOT NULL,
	`first_seq` integer NOT NULL,
	`retired_seq` integer,
	FOREIGN KEY (`limit_id`) REFERENCES `limits`(`id`) ON UPDATE no action ON DELETE cascade,
	CONSTRAINT "counters_used" CHECK("counters"."used" >= 0)
);
--> statement-breakpoint
CREATE UNIQUE INDEX `counters_live` ON `counters` (`limit_id`,`period_start`) WHERE "counters"."retired_seq" IS NULL;--> statement-breakpoint
CREATE INDEX `counters_by_limit` ON `counters` (`limit_id`);--> statement-breakpoint
CREATE TABLE `holds` (
	`seq` integer PRIMARY KEY NOT NULL,
	`key_seq` integer NOT NULL,
	`at` integer NOT NULL,
	`upstream` text NOT NULL,
	`request_id` text NOT NULL,
	`requests` integer NOT NULL,
	`tokens` integer NOT NULL,
	`cost` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `keys` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`hash` blob,
	`hint` text NOT NULL,
	`name` text NOT NULL,
	`enabled` integer DEFAULT true NOT NULL,
	`expires_at` integer,
	`concurrency` integer,
	`tags` text NOT NULL,
	`metadata` text NOT NULL,
	`revision` integer DEFAULT 1 NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`deleted_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `keys_id_unique` ON `keys` (`id`);--> statement-breakpoint
CREATE UNIQUE INDEX `keys_hash_unique` ON `keys` (`hash`);--> statement-breakpoint
CREATE INDEX `keys_by_created` ON `keys` (`created_at`,`seq`);--> statement-breakpoint
CREATE TABLE `limits` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`key_seq` integer NOT NULL,
	`name` text NOT NULL,
	`unit` text NOT NULL,
	`amount` integer,
	`window` text NOT NULL,
	`timezone` text NOT NULL,
	`week_start` text NOT NULL,
	FOREIGN KEY (`key_seq`) REFERENCES `keys`(`seq`) ON UPDATE no action ON DELETE no action,
	CONSTRAINT "limits_amount" CHECK("limits"."amount" IS NULL OR "limits"."amount" >= 0)
);
--> statement-breakpoint
CREATE UNIQUE INDEX `limits_by_key` ON `limits` (`key_seq`,`name`);--> statement-breakpoint
CREATE TABLE `usage_hourly` (
	`id` integer PRIMARY KEY NOT NULL,
	`hour` integer NOT NULL,
	`key_seq` integer NOT NULL,
	`upstream` text NOT NULL,
	`calls` integer NOT NULL,
	`failed` integer NOT NULL,
	`requests` integer NOT NULL,
	`tokens` integer NOT NULL,
	`cost` integer NOT NULL,
	`bytes_in` integer NOT NULL,
	`bytes_out` integer NOT NULL,
	`latency_ms` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `usage_hourly_row` ON `usage_hourly` (`hour`,`key_seq`,`upstream`);--> statement-breakpoint
CREATE INDEX `usage_hourly_by_key` ON `usage_hourly` (`key_seq`,`hour`);
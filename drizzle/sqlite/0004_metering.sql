CREATE TABLE `call_blocks` (
	`id` integer PRIMARY KEY NOT NULL
);
--> statement-breakpoint
CREATE TABLE `charged_objects` (
	`upstream` text NOT NULL,
	`object` text NOT NULL,
	`at` integer NOT NULL,
	PRIMARY KEY(`upstream`, `object`)
);
--> statement-breakpoint
CREATE INDEX `charged_objects_by_age` ON `charged_objects` (`at`);--> statement-breakpoint
-- By hand: the blocks of the entries that are there.
INSERT OR IGNORE INTO `call_blocks` (`id`) SELECT DISTINCT (key_seq << 32) | (seq >> 8) FROM `calls`;--> statement-breakpoint
DROP INDEX `calls_by_key`;--> statement-breakpoint
ALTER TABLE `calls` ADD `usage_parts` text;--> statement-breakpoint
DROP INDEX `usage_hourly_row`;--> statement-breakpoint
ALTER TABLE `usage_hourly` ADD `model` text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE `usage_hourly` ADD `estimated` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE UNIQUE INDEX `usage_hourly_row` ON `usage_hourly` (`hour`,`key_seq`,`upstream`,`model`);--> statement-breakpoint
ALTER TABLE `keys` ADD `reserve_max` text;
CREATE TABLE `price_lists` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`upstream` text NOT NULL,
	`at` integer NOT NULL,
	`prices` text NOT NULL
);
--> statement-breakpoint
CREATE INDEX `price_lists_by_upstream` ON `price_lists` (`upstream`,`id`);--> statement-breakpoint
CREATE TABLE `upstreams` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`name` text NOT NULL,
	`base_url` text NOT NULL,
	`mount` text,
	`enabled` integer DEFAULT true NOT NULL,
	`credential` text,
	`settings` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `upstreams_name_unique` ON `upstreams` (`name`);--> statement-breakpoint
CREATE UNIQUE INDEX `upstreams_mount_unique` ON `upstreams` (`mount`);--> statement-breakpoint
ALTER TABLE `calls` ADD `model` text;--> statement-breakpoint
ALTER TABLE `calls` ADD `tokens_input` integer;--> statement-breakpoint
ALTER TABLE `calls` ADD `tokens_output` integer;--> statement-breakpoint
ALTER TABLE `calls` ADD `tokens_cached` integer;--> statement-breakpoint
ALTER TABLE `calls` ADD `tokens_reasoning` integer;--> statement-breakpoint
ALTER TABLE `calls` ADD `estimated` integer DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE `calls` ADD `price_list_id` integer;--> statement-breakpoint
ALTER TABLE `keys` ADD `scope` text;
-- The views: rows folded from the log, each found by its bot and its key; rebuildable at any time.
-- A body is the row as canonical JSON text (type json keeps it byte for byte, and is still queryable with ->>).

create schema views;

create table views.bots       (bot_id text collate "C", key text collate "C", body json not null, primary key (bot_id, key));
create table views.portfolios (bot_id text collate "C", key text collate "C", body json not null, primary key (bot_id, key));
create table views.positions  (bot_id text collate "C", key text collate "C", body json not null, primary key (bot_id, key));
create table views.orders     (bot_id text collate "C", key text collate "C", body json not null, primary key (bot_id, key));
create table views.trades     (bot_id text collate "C", key text collate "C", body json not null, primary key (bot_id, key));
create table views.decisions  (bot_id text collate "C", key text collate "C", body json not null, primary key (bot_id, key));
create table views.holdings   (bot_id text collate "C", key text collate "C", body json not null, primary key (bot_id, key));

-- What the projector must remember of each bot between two batches.
create table views.books (bot_id text collate "C" primary key, body bytea not null);

-- How far the views are built; moved only by compare-and-set, in the transaction that writes the rows.
create table views.checkpoint (
    only_row boolean primary key default true check (only_row),
    "position" bigint not null,
    updated_at timestamptz not null default clock_timestamp()
);
insert into views.checkpoint ("position") values (0);

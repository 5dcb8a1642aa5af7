-- Several projections, each with its own views, books and checkpoint, and each able to be built anew while it serves.
-- A build under way has the same tables in the schema views_next; serving it moves them over, in one transaction.

alter schema views owner to oxbot_projector;
create schema views_next authorization oxbot_projector;

-- A row is found by whom it is of: a bot, an account, a part of the installation.
alter table views.bots       rename column bot_id to owner;
alter table views.portfolios rename column bot_id to owner;
alter table views.positions  rename column bot_id to owner;
alter table views.orders     rename column bot_id to owner;
alter table views.trades     rename column bot_id to owner;
alter table views.decisions  rename column bot_id to owner;
alter table views.holdings   rename column bot_id to owner;
create table views.accounts    (like views.bots including all);
create table views.checkpoints (like views.bots including all);
create table views.rebuilds    (like views.bots including all);
create table views.skips       (like views.bots including all);

-- What each projector must remember of each owner between two batches.
alter table views.books rename to bots_books;
alter table views.bots_books rename constraint books_pkey to bots_books_pkey;
alter table views.bots_books rename column bot_id to owner;
create table views.users_books  (like views.bots_books including all);
create table views.system_books (like views.bots_books including all);

-- One row per build, serving or under way; moved only by compare-and-set, in the transaction that writes the rows.
-- `stopped_*` say which event it cannot apply. `served_from` is the position at which a build took an older one's place,
-- `announced` whether the log has the fact of it. At position 0 any version of the program may take a build over.
create table views.projections (
    name text collate "C" not null,
    rebuild boolean not null,
    build uuid not null,
    version integer not null check (version > 0),
    "position" bigint not null check ("position" >= 0),
    stopped_position bigint,
    stopped_type text,
    stopped_error text,
    served_from bigint,
    announced boolean not null default true,
    updated_at timestamptz not null default clock_timestamp(),
    primary key (name, rebuild)
) with (fillfactor = 50);
insert into views.projections (name, rebuild, build, version, "position")
select 'bots', false, gen_random_uuid(), 1, "position" from views.checkpoint
union all values
    ('users', false, gen_random_uuid(), 1, 0::bigint),
    ('system', false, gen_random_uuid(), 1, 0::bigint);
drop table views.checkpoint;

-- The tables of a build, in the order in which everybody locks them.
create function views.tables_of(projection text, of_views text[]) returns text[]
language sql immutable as $$
    select array_agg(name order by name collate "C") from unnest(of_views || (projection || '_books')) as name
$$;

-- Empty tables for a build beside the serving one.
create function views.open_build(projection text, of_views text[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    name text;
begin
    foreach name in array views.tables_of(projection, of_views) loop
        execute format('drop table if exists views_next.%I', name);
        execute format('create table views_next.%I (like views.%I including all)', name, name);
        execute format('grant select on views_next.%I to oxbot_reader', name);
    end loop;
end;
$$;

-- The tables of a build that nobody wants any more.
create function views.drop_build(projection text, of_views text[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    name text;
begin
    foreach name in array views.tables_of(projection, of_views) loop
        execute format('drop table if exists views_next.%I', name);
    end loop;
end;
$$;

-- The build's tables take the place of those that served. Readers hold a share lock while they look at more than one
-- table, so this waits for them, and those who come after it see the new tables only.
create function views.serve_build(projection text, of_views text[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    name text;
begin
    foreach name in array views.tables_of(projection, of_views) loop
        execute format('lock table views.%I in access exclusive mode', name);
    end loop;
    foreach name in array views.tables_of(projection, of_views) loop
        execute format('drop table views.%I', name);
        execute format('alter table views_next.%I set schema views', name);
    end loop;
end;
$$;

-- Rights: the projector owns the views, so that it may make, write and swap them; everybody else reads. The operator's commands bring
-- views up to date and rebuild them, so the operator is a projector too.
do $$
declare
    name text;
begin
    for name in
        select c.oid::regclass::text from pg_class as c where c.relnamespace = 'views'::regnamespace and c.relkind = 'r'
    loop
        execute format('alter table %s owner to oxbot_projector', name);
        execute format('grant select on %s to oxbot_reader', name);
    end loop;
    for name in select p.oid::regprocedure::text from pg_proc as p where p.pronamespace = 'views'::regnamespace loop
        execute format('alter function %s owner to oxbot_projector', name);
        execute format('revoke all on function %s from public', name);
    end loop;
end;
$$;
grant usage on schema views, views_next to oxbot_reader;

-- Roles belong to the whole server, so another database of it may have done this already.
do $$
begin
    if not pg_has_role('oxbot_operator', 'oxbot_projector', 'member') then
        grant oxbot_projector to oxbot_operator;
    end if;
end;
$$;

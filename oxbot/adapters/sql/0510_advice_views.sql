-- Views of advice: what bots asked models and were told, what it cost, what they are compared by, and the models' own calls.

-- A build under way has no tables for the new views; whoever wanted it begins another.
select views.drop_build('bots', array['bots', 'portfolios', 'positions', 'orders', 'trades', 'decisions', 'holdings']);
delete from views.projections where name = 'bots' and rebuild;

create table views.advice     (like views.bots including all);
create table views.spending   (like views.bots including all);
create table views.arena      (like views.bots including all);
create table views.models     (like views.bots including all);
create table views.model_days (like views.bots including all);
create table views.models_books (like views.bots_books including all);

insert into views.projections (name, rebuild, build, version, "position")
values ('models', false, gen_random_uuid(), 1, 0);

-- The projector owns the views, so that it may make, write and swap them; everybody else reads.
do $$
declare
    name text;
begin
    foreach name in array array['advice', 'spending', 'arena', 'models', 'model_days', 'models_books'] loop
        execute format('alter table views.%I owner to oxbot_projector', name);
        execute format('grant select on views.%I to oxbot_reader', name);
    end loop;
end;
$$;

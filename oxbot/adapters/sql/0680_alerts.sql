-- Alerts: a projection of its own, of every stream that may tell of something somebody should look at.

create table views.alerts       (like views.bots including all);
create table views.alerts_books (like views.bots_books including all);

insert into views.projections (name, rebuild, build, version, "position")
values ('alerts', false, gen_random_uuid(), 1, 0);

-- The projector owns the views, so that it may make, write and swap them; everybody else reads.
do $$
declare
    name text;
begin
    foreach name in array array['alerts', 'alerts_books'] loop
        execute format('alter table views.%I owner to oxbot_projector', name);
        execute format('grant select on views.%I to oxbot_reader', name);
    end loop;
end;
$$;

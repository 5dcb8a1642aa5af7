-- Whose bots are: a row for each bot under its owner, so that a list of some owners' bots looks at nobody else's.

-- A build under way has no table for the new view; whoever wanted it begins another.
select views.drop_build('bots', array['bots', 'portfolios', 'positions', 'orders', 'trades', 'decisions', 'holdings', 'advice', 'spending', 'arena']);
delete from views.projections where name = 'bots' and rebuild;

create table views.owned (like views.bots including all);

-- What serves until it is made anew knows of no owner; all bots were the house's then.
insert into views.owned (owner, key, body)
select '', b.owner, json_build_object('owner', '', 'bot_id', b.owner) from views.bots as b;

-- The projector owns the views, so that it may make, write and swap them; everybody else reads.
alter table views.owned owner to oxbot_projector;
grant select on views.owned to oxbot_reader;

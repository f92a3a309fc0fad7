insert into project (id, name) select g, 'p' || g from generate_series(1, 500) g;
insert into issue select 1 + g % 500, g, 't{s}' || g, case when g % 9 = 0 and g > 600 then 1 + (g + 1) % 500 end,
  case when g % 9 = 0 and g > 600 then g + 1 end from generate_series(1, {n}) g;
insert into audit (project, at, ip) select g, '2023-12-30'::timestamptz + g * interval '1 hour', '10.0.0.1'
  from generate_series(1, 2000) g;
insert into counted select g, k, length('{s}') from generate_series(1, 500) g, unnest(array['a', 'b', 'c']) k;
insert into post select 'id' || g, 'c' || g % 5, 'k' from generate_series(1, 700) g;
insert into list select k, g, 'v{s}' from generate_series(1, 300) g, unnest(array['a', 'b', 's', 'zz']) k;
insert into "Ünï ""Cödé"""."select" select g, 'é{s}' || g from generate_series(1, 100) g;
insert into note select g, 1 + g % 500, g, 'x' from generate_series(1, 400) g;
insert into pick select g, 's', g from generate_series(1, 200) g;

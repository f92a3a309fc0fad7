insert into actor select g, E'a\t"\\' || g, '2020-01-01' from generate_series(1, 2000) g;
insert into film select g, 'film é ' || g, 1950 + g % 50, (array['G', 'PG', 'NC-17'])[1 + g % 3]::rating,
  array[null, 'a,b', '{}'], '', g % 90 + 0.5, '2020-01-01' from generate_series(1, {n}) g;
insert into film_actor select g, 1 + (g * 7) % {n} from generate_series(1, 2000) g;
insert into customer select g, 'c' || g || '@x.org' from generate_series(1, 500) g;
insert into payment select g, 1 + g % 500, (g % 900) + 0.99, '2019-12-31'::timestamptz + g * interval '1 hour'
  from generate_series(1, 3000) g;
insert into person select 'p' || g % 50, case when g % 3 = 0 then '-infinity' else '2000-01-01 BC'::date end
  from generate_series(1, 200) g;
insert into employee select 'e' || g % 50, 'infinity', null from generate_series(1, 200) g;

insert into content_type (app, model) select 'a' || g % 10, 'm' || g from generate_series(1, 60) g;
insert into auth_user (username) select 'ü{s}' || g from generate_series(1, 2000) g;
insert into revision (made, content, page, by) select '2020-01-01', '{"a": null}', g, 1 + g % 2000
  from generate_series(1, {n}) g;
insert into page (path, depth, title, owner, latest, type, words, alias)
select lpad(g::text, 8, '0'), case g when 1 then 1 else 2 end, 't{s}' || g, 1 + g % 2000, 1 + g % {n}, 1 + g % 60,
  to_tsvector('simple', 't' || g), case when g % 5 = 0 then g - 1 end from generate_series(1, {n}) g;

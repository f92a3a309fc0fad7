-- Rows of the example, as many as :documents says; make_data.py runs this.

insert into platform_config (key, value, description) values
  ('groq_api_key', 'gsk_example_0123456789', 'chat'),
  ('openai_api_key', 'sk-example-''quoted''-0123456789', 'embeddings'),
  ('resend_api_key', 're_example_0123456789', null),
  ('brevo_api_key', E'xkeysib-example\n', 'with a line end'),
  ('site_name', 'Mon Cabinet — مكتبي', 'shown on every page');
update platform_config set is_secret = false where key = 'site_name';

insert into knowledge_categories (slug, name) select slug, jsonb_build_object('fr', initcap(slug), 'ar', ar)
from (values ('civil', 'مدني'), ('penal', 'جزائي'), ('commercial', 'تجاري'), ('social', 'شغل')) v (slug, ar);
insert into knowledge_categories (parent_id, slug, name)
select id, slug || '-' || n, jsonb_build_object('fr', slug || ' ' || n)
from knowledge_categories, generate_series(1, 3) n;

alter table knowledge_base disable trigger announce;
insert into knowledge_base (id, category_id, title, content, language, tags, metadata, weight, valid_from)
select md5('document ' || n)::uuid, 1 + n % 16,
  (array['Article %s: l''obligation', 'الفصل %s من المجلة', E'Tab\there %s', '"Quoted", %s', '⚖️ %s \N'])[1 + n % 5]
    || ' ' || n,
  repeat((array[E'Le débiteur…\r\nest tenu.\n', 'لا يجوز ', E'\\N \\. \\t ', 'a,b;c"d"''e'' ', E'\t\n '])[1 + n % 5],
    1 + (n * 7919) % (case when n % 97 = 0 then 4000 else 40 end)),
  case when n % 5 = 1 then 'ar' else 'fr' end,
  case n % 4 when 0 then '{}' when 1 then array['loi', null, ''] else array['{"x"}', 'a,b', n::text] end,
  case when n % 6 = 0 then null else jsonb_build_object('n', n / 8.0, 'source', 'JORT', 'x', E'\u00e9\\"', 'o', '{}'::jsonb) end,
  (n % 300)::numeric * 1.10,
  case n % 50 when 0 then 'infinity'::date when 1 then null else date '1906-12-15' + n end
from generate_series(1, :documents) n;
alter table knowledge_base enable trigger announce;

-- Each seventh document waits to be indexed.
insert into knowledge_base_chunks (id, knowledge_base_id, chunk_index, content, embedding)
select md5('chunk ' || n || '/' || c)::uuid, md5('document ' || n)::uuid, c, 'part ' || c || E' of\t' || n,
  (select array_agg(sin(n * 31 + c * 17 + d)) from generate_series(1, 384) d)::vector
from generate_series(1, :documents) n, generate_series(0, 2) c where n % 7 <> 0;

insert into templates (id, name, body, variables)
select md5('template ' || n)::uuid, 'modèle ' || n,
  case n % 3 when 0 then null when 1 then '' else E'Maître,\n\n{{client}}\t«' || n || '»\n' end, '["client", "date"]'
from generate_series(1, greatest(5, :documents / 20)) n;

insert into web_sources (id, name, base_url, rules, every)
select md5('source ' || n)::uuid, 'source ' || n, 'https://source' || n || '.example.org/',
  '{"allow": ["/fr/", "/ar/"], "depth": 3}', n * interval '6 hours'
from generate_series(1, 5) n;

insert into web_pages (id, web_source_id, knowledge_base_id, url, title, extracted_text, status, http, crawled_at)
select md5('page ' || n)::uuid, md5('source ' || 1 + n % 5)::uuid,
  case when n % 2 = 0 and n <= :documents then md5('document ' || n)::uuid end,
  'https://source' || 1 + n % 5 || '.example.org/fr/?q=%20' || n || '&é=' || n, nullif('page ' || n % 9, 'page 0'),
  repeat(E'texte \u200f نص\n', n % 30), (array['pending', 'crawled', 'indexed', 'failed'])[1 + n % 4]::page_status,
  jsonb_build_object('status', case when n % 4 = 3 then 503 else 200 end, 'etag', md5(n::text)),
  now() - n * interval '1 minute'
from generate_series(1, 2 * :documents) n;

insert into web_files (id, web_page_id, url, minio_path, bytes, sha256)
select md5('file ' || n)::uuid, md5('page ' || n)::uuid, 'https://source.example.org/' || n || '.pdf',
  'web-files/' || n % 7 || '/loi n° ' || n || '.pdf', length(repeat('%PDF-1.4 ' || n, 1 + n % 50)),
  sha256(repeat('%PDF-1.4 ' || n, 1 + n % 50)::bytea)
from generate_series(10, 2 * :documents, 10) n;

insert into outbox (recipient, body) values ('client@example.org', 'Votre rendez-vous');

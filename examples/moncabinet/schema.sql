-- The database of a law office's site: what it knows, what it crawled, and letters that wait to be sent.
-- psql "$DATABASE_URL" -v ON_ERROR_STOP=1 -f schema.sql

create extension if not exists vector;

create type page_status as enum ('pending', 'crawled', 'indexed', 'failed');

create table platform_config (
  key text primary key,
  value text not null,
  description text,
  is_secret boolean not null default true,
  updated_at timestamptz not null default now()
);

create table knowledge_categories (
  id int generated always as identity primary key,
  parent_id int references knowledge_categories,
  slug text not null unique,
  name jsonb not null
);

create table knowledge_base (
  id uuid primary key default gen_random_uuid(),
  category_id int not null references knowledge_categories,
  title text not null,
  content text not null,
  language text not null default 'fr' check (language in ('fr', 'ar')),
  tags text[] not null default '{}',
  metadata jsonb,
  weight numeric not null default 1.0,
  valid_from date,
  words int generated always as (array_length(regexp_split_to_array(content, '\s+'), 1)) stored,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table knowledge_base_chunks (
  id uuid primary key default gen_random_uuid(),
  knowledge_base_id uuid not null references knowledge_base on delete cascade,
  chunk_index int not null,
  content text not null,
  embedding vector(384),
  unique (knowledge_base_id, chunk_index)
);
create index knowledge_base_chunks_embedding on knowledge_base_chunks using hnsw (embedding vector_cosine_ops);

create table templates (
  id uuid primary key default gen_random_uuid(),
  name text not null unique,
  body text,
  variables jsonb not null default '[]',
  active boolean not null default true
);

create table web_sources (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  base_url text not null unique,
  rules jsonb not null default '{}',
  every interval not null default '1 day',
  last_crawl_at timestamptz
);

create table web_pages (
  id uuid primary key default gen_random_uuid(),
  web_source_id uuid not null references web_sources on delete cascade,
  knowledge_base_id uuid references knowledge_base on delete set null,
  url text not null,
  title text,
  extracted_text text,
  status page_status not null default 'pending',
  http jsonb,
  crawled_at timestamptz,
  unique (web_source_id, url)
);

create table web_files (
  id uuid primary key default gen_random_uuid(),
  web_page_id uuid not null references web_pages on delete cascade,
  url text not null,
  minio_path text unique,
  bytes bigint,
  sha256 bytea
);

-- Letters to clients. What stands here is sent: no row may come from another environment.
create table outbox (
  id bigint generated always as identity primary key,
  recipient text not null,
  body text not null,
  sent_at timestamptz
);

create function touch() returns trigger language plpgsql as $$
begin
  new.updated_at := now();
  return new;
end $$;
create trigger touch before update on knowledge_base for each row execute function touch();

create function announce() returns trigger language plpgsql as $$
begin
  insert into outbox (recipient, body) values ('all clients', 'New in our library: ' || new.title);
  return new;
end $$;
create trigger announce after insert on knowledge_base for each row execute function announce();

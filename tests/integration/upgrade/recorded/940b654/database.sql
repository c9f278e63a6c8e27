CREATE ROLE rag_130779524d4f_166d54775b86_ingest LOGIN INHERIT CONNECTION LIMIT 8;
COMMENT ON ROLE rag_130779524d4f_166d54775b86_ingest IS 'rag-operator catalog 13077952-4d4f-4409-9a64-445fa62e91f9';
CREATE ROLE rag_130779524d4f_166d54775b86_read NOLOGIN INHERIT CONNECTION LIMIT -1;
COMMENT ON ROLE rag_130779524d4f_166d54775b86_read IS 'rag-operator catalog 13077952-4d4f-4409-9a64-445fa62e91f9';
CREATE ROLE rag_130779524d4f_1c363c342872_ingest LOGIN INHERIT CONNECTION LIMIT 8;
COMMENT ON ROLE rag_130779524d4f_1c363c342872_ingest IS 'rag-operator catalog 13077952-4d4f-4409-9a64-445fa62e91f9';
CREATE ROLE rag_130779524d4f_1c363c342872_read NOLOGIN INHERIT CONNECTION LIMIT -1;
COMMENT ON ROLE rag_130779524d4f_1c363c342872_read IS 'rag-operator catalog 13077952-4d4f-4409-9a64-445fa62e91f9';
CREATE ROLE rag_130779524d4f_owner NOLOGIN INHERIT CONNECTION LIMIT -1;
COMMENT ON ROLE rag_130779524d4f_owner IS 'rag-operator catalog 13077952-4d4f-4409-9a64-445fa62e91f9';
CREATE ROLE rag_130779524d4f_query_00 LOGIN NOINHERIT CONNECTION LIMIT -1;
COMMENT ON ROLE rag_130779524d4f_query_00 IS 'rag-operator catalog 13077952-4d4f-4409-9a64-445fa62e91f9';
GRANT rag_130779524d4f_166d54775b86_ingest TO rag_admin WITH INHERIT False, SET False, ADMIN True;
GRANT rag_130779524d4f_166d54775b86_read TO rag_130779524d4f_query_00 WITH INHERIT False, SET True, ADMIN False;
GRANT rag_130779524d4f_166d54775b86_read TO rag_admin WITH INHERIT False, SET False, ADMIN True;
GRANT rag_130779524d4f_1c363c342872_ingest TO rag_admin WITH INHERIT False, SET False, ADMIN True;
GRANT rag_130779524d4f_1c363c342872_read TO rag_130779524d4f_query_00 WITH INHERIT False, SET True, ADMIN False;
GRANT rag_130779524d4f_1c363c342872_read TO rag_admin WITH INHERIT False, SET False, ADMIN True;
GRANT rag_130779524d4f_owner TO rag_admin WITH INHERIT True, SET True, ADMIN False;
GRANT rag_130779524d4f_owner TO rag_admin WITH INHERIT False, SET False, ADMIN True;
GRANT rag_130779524d4f_query_00 TO rag_admin WITH INHERIT False, SET False, ADMIN True;
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA rag_130779524d4f;
ALTER SCHEMA rag_130779524d4f OWNER TO rag_130779524d4f_owner;
CREATE SCHEMA rag_acme_166d54775b;
ALTER SCHEMA rag_acme_166d54775b OWNER TO rag_130779524d4f_owner;
CREATE SCHEMA rag_beta_1c363c3428;
ALTER SCHEMA rag_beta_1c363c3428 OWNER TO rag_130779524d4f_owner;
CREATE FUNCTION rag_130779524d4f.begin_batch(revision integer, shard integer, epoch bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE p rag_130779524d4f.pointer := rag_130779524d4f.self(); n int;
BEGIN
  PERFORM 1 FROM rag_130779524d4f.pointer t WHERE t.tenant = p.tenant AND t.open FOR NO KEY UPDATE;
  IF NOT FOUND THEN RAISE EXCEPTION 'tenant % is closed', p.tenant USING ERRCODE = 'RG002'; END IF;
  EXECUTE format('SELECT count(*) FROM %I.run WHERE step = ''Index'' AND revision = $1 AND shard = $2 AND epoch = $3', p.schema)
    INTO n USING revision, shard, epoch;
  IF n = 0 THEN RAISE EXCEPTION 'superseded: another run indexes this revision' USING ERRCODE = 'RG001'; END IF;
END $_$;
ALTER FUNCTION rag_130779524d4f.begin_batch(revision integer, shard integer, epoch bigint) OWNER TO rag_130779524d4f_owner;
CREATE FUNCTION rag_130779524d4f.build_index(revision integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE p rag_130779524d4f.pointer := rag_130779524d4f.self(); s text := p.schema; n int := revision; shape jsonb; rows bigint; memory bigint; q text; built bool;
BEGIN
  EXECUTE format('SELECT shape, built FROM %I.revision WHERE number = $1 FOR UPDATE', s) INTO shape, built USING n;
  IF built IS DISTINCT FROM false THEN RETURN; END IF;
  EXECUTE format('SELECT count(*) FROM %I.chunk_r%s', s, n) INTO rows;
  memory := greatest(32768, least(262144, rows * (shape #>> '{profile,dimensions}')::int / 256));
  PERFORM set_config('maintenance_work_mem', memory || 'kB', true),
    set_config('max_parallel_maintenance_workers', CASE WHEN memory > 49152 THEN '0' ELSE '1' END, true);
  EXECUTE format('ALTER TABLE %I.chunk_r%s ADD PRIMARY KEY (id)', s, n);
  EXECUTE format('CREATE INDEX ON %I.chunk_r%s USING gin (acl)', s, n);
  EXECUTE format('CREATE INDEX ON %I.chunk_r%s USING gin (metadata jsonb_path_ops)', s, n);
  EXECUTE format('ALTER TABLE %I.term_r%s ADD PRIMARY KEY (term)', s, n);
  EXECUTE format('CREATE UNIQUE INDEX ON %I.term_r%s (id)', s, n);
  PERFORM rag_130779524d4f.lex(s, n, NULL);
  EXECUTE format('ALTER TABLE %I.post_r%s ADD PRIMARY KEY (term_id, chunk) INCLUDE (w)', s, n);
  IF shape ->> 'type' = 'HNSW' THEN
    EXECUTE format('CREATE INDEX ON %I.chunk_r%s USING hnsw (embedding public.%s_cosine_ops) WITH (m = %s, ef_construction = %s)',
      s, n, CASE shape ->> 'quantization' WHEN 'HalfVec' THEN 'halfvec' ELSE 'vector' END,
      (shape ->> 'm')::int, (shape ->> 'efConstruction')::int);
  END IF;
  EXECUTE format('ANALYZE %1$I.chunk_r%2$s, %1$I.term_r%2$s, %1$I.post_r%2$s', s, n);
  EXECUTE format('UPDATE %I.revision SET built = true WHERE number = $1', s) USING n;
END $_$;
ALTER FUNCTION rag_130779524d4f.build_index(revision integer) OWNER TO rag_130779524d4f_owner;
CREATE FUNCTION rag_130779524d4f.bump(t uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE v bigint;
BEGIN
  UPDATE rag_130779524d4f.pointer SET version = version + 1, token = replace(gen_random_uuid()::text, '-', ''),
    wal = pg_current_wal_insert_lsn() WHERE tenant = t RETURNING version INTO v;
  PERFORM pg_notify('rag_130779524d4f_query', t || ' ' || v);
END $$;
ALTER FUNCTION rag_130779524d4f.bump(t uuid) OWNER TO rag_130779524d4f_owner;
CREATE FUNCTION rag_130779524d4f.changes(list jsonb) RETURNS TABLE(id bigint, metadata jsonb, acl text[], expires_at timestamp with time zone)
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  SELECT (e ->> 'id')::bigint, e -> 'metadata', ARRAY (SELECT jsonb_array_elements_text(e -> 'acl')), (e ->> 'expiresAt')::timestamptz
  FROM jsonb_array_elements(list) e
$$;
ALTER FUNCTION rag_130779524d4f.changes(list jsonb) OWNER TO rag_130779524d4f_owner;
CREATE FUNCTION rag_130779524d4f.collect_tombstones() RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE p rag_130779524d4f.pointer := rag_130779524d4f.self(); n bigint;
BEGIN
  EXECUTE format('DELETE FROM %1$I.document WHERE deleted AND seq <= (
    SELECT coalesce(min(coalesce(w.watermark, 0)), 0) FROM %1$I.revision r
    LEFT JOIN (SELECT revision, min(watermark) AS watermark FROM %1$I.run WHERE step = ''Index'' GROUP BY 1) w ON w.revision = r.number
    WHERE r.state IN (''Building'', ''Ready'', ''Active'', ''Retained''))', p.schema);
  GET DIAGNOSTICS n = ROW_COUNT;
  RETURN n;
END $_$;
ALTER FUNCTION rag_130779524d4f.collect_tombstones() OWNER TO rag_130779524d4f_owner;
CREATE FUNCTION rag_130779524d4f.commit_batch(revision integer, shard integer, epoch bigint, since bigint, upto bigint, docs bigint[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE p rag_130779524d4f.pointer := rag_130779524d4f.self(); n int; built bool; state text;
BEGIN
  EXECUTE format('UPDATE %I.run SET watermark = $5 WHERE step = ''Index'' AND revision = $1 AND shard = $2 AND epoch = $3 AND watermark = $4',
    p.schema) USING revision, shard, epoch, since, upto;
  GET DIAGNOSTICS n = ROW_COUNT;
  IF n = 0 THEN RAISE EXCEPTION 'superseded: another run indexes this revision' USING ERRCODE = 'RG001'; END IF;
  EXECUTE format('SELECT built, state FROM %I.revision WHERE number = $1', p.schema) INTO built, state USING revision;
  IF state NOT IN ('Building', 'Ready', 'Active', 'Retained') THEN
    RAISE EXCEPTION 'superseded: revision % is %', revision, state USING ERRCODE = 'RG001';
  END IF;
  IF cardinality(docs) > 0 THEN
    SELECT t.active INTO p.active FROM rag_130779524d4f.pointer t WHERE t.tenant = p.tenant FOR NO KEY UPDATE;
    IF built THEN PERFORM rag_130779524d4f.lex(p.schema, revision, docs); END IF;
    IF p.active = revision THEN PERFORM rag_130779524d4f.bump(p.tenant); END IF;
  END IF;
END $_$;
ALTER FUNCTION rag_130779524d4f.commit_batch(revision integer, shard integer, epoch bigint, since bigint, upto bigint, docs bigint[]) OWNER TO rag_130779524d4f_owner;
CREATE FUNCTION rag_130779524d4f.create_revision(shape jsonb, spec_hash text) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE p rag_130779524d4f.pointer := rag_130779524d4f.self(); n int; s text := p.schema; dims int; kind text; reader text; q text;
BEGIN
  PERFORM 1 FROM rag_130779524d4f.pointer WHERE tenant = p.tenant FOR UPDATE;
  EXECUTE format('SELECT number FROM %I.revision WHERE spec_hash = $1
    AND state IN (''Building'', ''Ready'', ''Active'', ''Retained'') ORDER BY number DESC LIMIT 1', s) INTO n USING spec_hash;
  IF n IS NOT NULL THEN RETURN n; END IF;
  dims := (shape #>> '{profile,dimensions}')::int;
  kind := CASE shape ->> 'quantization' WHEN 'HalfVec' THEN 'halfvec' WHEN 'None' THEN 'vector' END;
  IF dims IS NULL OR kind IS NULL THEN
    RAISE EXCEPTION 'create_revision: shape lacks profile.dimensions or quantization' USING ERRCODE = 'RG003';
  END IF;
  SELECT t.reader INTO reader FROM rag_130779524d4f.tenant t WHERE t.id = p.tenant;
  EXECUTE format('SELECT coalesce(max(number), 0) + 1 FROM %I.revision', s) INTO n;
  EXECUTE format('INSERT INTO %I.revision (number, spec_hash, shape) VALUES ($1, $2, $3)', s) USING n, spec_hash, shape;
  EXECUTE format('CREATE TABLE %1$I.chunk_r%2$s (id int GENERATED BY DEFAULT AS IDENTITY, document bigint NOT NULL, ordinal int NOT NULL,
    text text NOT NULL, heading text NOT NULL, title text NOT NULL, uri text NOT NULL, source text NOT NULL, path text NOT NULL,
    tokens int NOT NULL, metadata jsonb NOT NULL, acl text[] NOT NULL, expires_at timestamptz,
    embedding public.%3$s(%4$s) NOT NULL)', s, n, kind, dims);
  EXECUTE format('ALTER TABLE %I.chunk_r%s ALTER embedding SET STORAGE PLAIN', s, n);
  EXECUTE format('CREATE INDEX ON %I.chunk_r%s (document)', s, n);
  EXECUTE format('CREATE TABLE %I.term_r%s (id int GENERATED ALWAYS AS IDENTITY, term text NOT NULL, df int NOT NULL)', s, n);
  EXECUTE format('CREATE TABLE %I.post_r%s (term_id int NOT NULL, chunk int NOT NULL, w real NOT NULL)
    WITH (autovacuum_vacuum_insert_scale_factor = 0.02)', s, n);
  EXECUTE format('CREATE TABLE %I.stat_r%s (n float8 NOT NULL, avgdl float8 NOT NULL)', s, n);
  EXECUTE format('CREATE VIEW %1$I.chunk_r%2$s_v AS SELECT * FROM %1$I.chunk_r%2$s
    WHERE acl && current_setting(''rag.acl'')::text[] AND current_setting(''rag.tenant'') = %3$L', s, n, p.tenant);
  EXECUTE format('GRANT SELECT, INSERT, DELETE ON %I.chunk_r%s TO %I', s, n, p.login);
  EXECUTE format('GRANT USAGE ON SEQUENCE %I.chunk_r%s_id_seq TO %I', s, n, p.login);
  EXECUTE format('GRANT SELECT ON %1$I.chunk_r%2$s_v, %1$I.post_r%2$s, %1$I.term_r%2$s, %1$I.stat_r%2$s TO %3$I', s, n, reader);
  RETURN n;
END $_$;
ALTER FUNCTION rag_130779524d4f.create_revision(shape jsonb, spec_hash text) OWNER TO rag_130779524d4f_owner;
CREATE FUNCTION rag_130779524d4f.draw(n bigint, fence bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE p rag_130779524d4f.pointer := rag_130779524d4f.self(); s bigint;
BEGIN
  IF n < 0 THEN RAISE EXCEPTION 'draw: n is negative' USING ERRCODE = 'RG003'; END IF;
  UPDATE rag_130779524d4f.pointer t SET seq = t.seq + n WHERE t.tenant = p.tenant AND t.fence = draw.fence AND t.open RETURNING t.seq INTO s;
  IF s IS NULL THEN RAISE EXCEPTION 'superseded: another sync took the fence' USING ERRCODE = 'RG001'; END IF;
  RETURN s;
END $$;
ALTER FUNCTION rag_130779524d4f.draw(n bigint, fence bigint) OWNER TO rag_130779524d4f_owner;
CREATE FUNCTION rag_130779524d4f.finish(revision integer, epoch bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE p rag_130779524d4f.pointer := rag_130779524d4f.self(); n int; facts jsonb; state text;
BEGIN
  EXECUTE format('SELECT count(*) FROM %I.run WHERE step = ''Index'' AND revision = $1 AND epoch = $2', p.schema) INTO n USING revision, epoch;
  IF n = 0 THEN RAISE EXCEPTION 'superseded: another run indexes this revision' USING ERRCODE = 'RG001'; END IF;
  EXECUTE format('UPDATE %I.revision SET state = ''Ready'' WHERE number = $1 AND state = ''Building'' AND built', p.schema) USING revision;
  EXECUTE format('SELECT jsonb_build_object(''revision'', $1, ''documents'', count(DISTINCT document), ''chunks'', count(*),
    ''bytes'', pg_total_relation_size(''%1$I.chunk_r%2$s'') + pg_total_relation_size(''%1$I.post_r%2$s'') + pg_total_relation_size(''%1$I.term_r%2$s''))
    FROM %1$I.chunk_r%2$s', p.schema, revision) INTO facts USING revision;
  EXECUTE format('SELECT state FROM %I.revision WHERE number = $1', p.schema) INTO state USING revision;
  UPDATE rag_130779524d4f.pointer SET summary = (summary - 'building') || CASE WHEN state = 'Ready'
    THEN jsonb_build_object('ready', facts) ELSE jsonb_build_object('index', facts) END WHERE tenant = p.tenant;
  PERFORM pg_notify('rag_130779524d4f_operator', p.tenant::text);
END $_$;
ALTER FUNCTION rag_130779524d4f.finish(revision integer, epoch bigint) OWNER TO rag_130779524d4f_owner;
CREATE FUNCTION rag_130779524d4f.keep(step text, revision integer, shard integer, epoch bigint, ttl interval) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE p rag_130779524d4f.pointer := rag_130779524d4f.self(); n int;
BEGIN
  EXECUTE format('UPDATE %I.run SET expires_at = clock_timestamp() + $5
    WHERE step = $1 AND revision = $2 AND shard = $3 AND epoch = $4', p.schema) USING step, revision, shard, epoch, ttl;
  GET DIAGNOSTICS n = ROW_COUNT;
  IF n = 0 THEN RAISE EXCEPTION 'superseded: another run took the lease' USING ERRCODE = 'RG001'; END IF;
END $_$;
ALTER FUNCTION rag_130779524d4f.keep(step text, revision integer, shard integer, epoch bigint, ttl interval) OWNER TO rag_130779524d4f_owner;
CREATE FUNCTION rag_130779524d4f.lex(s text, n integer, docs bigint[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE cfg text := coalesce(rag_130779524d4f.shape_of(s, n) ->> 'textSearch', 'simple');
BEGIN
  EXECUTE format('WITH lex AS MATERIALIZED (
      SELECT c.id AS chunk, l.lexeme, coalesce(cardinality(l.positions), 1) AS tf FROM %1$I.chunk_r%2$s c,
        LATERAL unnest(to_tsvector(%3$L::regconfig, c.title || '' '' || c.heading || '' '' || c.text)) l
      WHERE $1 IS NULL OR c.document = ANY ($1)),
    len AS MATERIALIZED (SELECT chunk, sum(tf) AS dl FROM lex GROUP BY 1),
    base AS MATERIALIZED (SELECT coalesce((SELECT avgdl FROM %1$I.stat_r%2$s), greatest(1, (SELECT avg(dl) FROM len)), 1) AS avgdl),
    up AS (INSERT INTO %1$I.term_r%2$s AS t (term, df) SELECT lexeme, count(*) FROM lex GROUP BY 1 ORDER BY 1
      ON CONFLICT (term) DO UPDATE SET df = t.df + excluded.df RETURNING t.id, t.term),
    post AS (INSERT INTO %1$I.post_r%2$s SELECT up.id, lex.chunk, tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * dl / avgdl))
      FROM lex JOIN len USING (chunk) JOIN up ON up.term = lex.lexeme, base ORDER BY 1, 2),
    more AS MATERIALIZED (SELECT count(*) AS n FROM %1$I.chunk_r%2$s c WHERE $1 IS NULL OR c.document = ANY ($1)),
    grown AS (UPDATE %1$I.stat_r%2$s t SET n = t.n + more.n FROM more RETURNING 1)
    INSERT INTO %1$I.stat_r%2$s (n, avgdl) SELECT more.n, base.avgdl FROM more, base
      WHERE NOT EXISTS (SELECT FROM %1$I.stat_r%2$s)', s, n, cfg) USING docs;
END $_$;
ALTER FUNCTION rag_130779524d4f.lex(s text, n integer, docs bigint[]) OWNER TO rag_130779524d4f_owner;
CREATE FUNCTION rag_130779524d4f.live_revisions(s text) RETURNS SETOF integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  RETURN QUERY EXECUTE format('SELECT number FROM %I.revision WHERE state IN (''Building'', ''Ready'', ''Active'', ''Retained'') ORDER BY 1', s);
END $$;
ALTER FUNCTION rag_130779524d4f.live_revisions(s text) OWNER TO rag_130779524d4f_owner;
CREATE FUNCTION rag_130779524d4f.remove_chunks(s text, n integer, docs bigint[]) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $_$
DECLARE cfg text := coalesce(rag_130779524d4f.shape_of(s, n) ->> 'textSearch', 'simple'); gone bigint;
BEGIN
  EXECUTE format('WITH gone AS MATERIALIZED (DELETE FROM %1$I.chunk_r%2$s WHERE document = ANY ($1) RETURNING id, title, heading, text),
    lex AS MATERIALIZED (SELECT t.id AS term_id, g.id AS chunk FROM gone g,
      LATERAL unnest(to_tsvector(%3$L::regconfig, g.title || '' '' || g.heading || '' '' || g.text)) l
      JOIN %1$I.term_r%2$s t ON t.term = l.lexeme WHERE EXISTS (SELECT FROM %1$I.stat_r%2$s)),
    post AS (DELETE FROM %1$I.post_r%2$s p USING lex WHERE p.term_id = lex.term_id AND p.chunk = lex.chunk),
    term AS (UPDATE %1$I.term_r%2$s t SET df = t.df - d.n FROM (SELECT term_id, count(*) AS n FROM lex GROUP BY 1) d WHERE t.id = d.term_id),
    stat AS (UPDATE %1$I.stat_r%2$s SET n = n - (SELECT count(*) FROM gone))
    SELECT count(*) FROM gone', s, n, cfg) INTO gone USING docs;
  RETURN gone;
END $_$;
ALTER FUNCTION rag_130779524d4f.remove_chunks(s text, n integer, docs bigint[]) OWNER TO rag_130779524d4f_owner;
CREATE FUNCTION rag_130779524d4f.replace_chunks(revision integer, docs bigint[]) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE p rag_130779524d4f.pointer := rag_130779524d4f.self();
BEGIN
  RETURN rag_130779524d4f.remove_chunks(p.schema, revision, docs);
END $$;
ALTER FUNCTION rag_130779524d4f.replace_chunks(revision integer, docs bigint[]) OWNER TO rag_130779524d4f_owner;
CREATE FUNCTION rag_130779524d4f.report(part jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE p rag_130779524d4f.pointer := rag_130779524d4f.self();
BEGIN
  IF EXISTS (SELECT FROM jsonb_object_keys(part) k WHERE k NOT IN ('lastIngestion', 'building', 'run')) OR length(part::text) > 4000 THEN
    RAISE EXCEPTION 'report: only lastIngestion, building and run, at most 4,000 characters' USING ERRCODE = 'RG003';
  END IF;
  UPDATE rag_130779524d4f.pointer SET summary = summary || part ||
    jsonb_build_object('deadLetters', (SELECT count(*) FROM rag_130779524d4f.dead_letter d WHERE d.tenant = p.tenant)) WHERE tenant = p.tenant;
  PERFORM pg_notify('rag_130779524d4f_operator', p.tenant::text);
END $$;
ALTER FUNCTION rag_130779524d4f.report(part jsonb) OWNER TO rag_130779524d4f_owner;
CREATE FUNCTION rag_130779524d4f.restate(fence bigint, changes jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE p rag_130779524d4f.pointer := rag_130779524d4f.self(); r int; n bigint; visible bool := false;
BEGIN
  PERFORM rag_130779524d4f.draw(0, fence);
  SELECT t.active INTO p.active FROM rag_130779524d4f.pointer t WHERE t.tenant = p.tenant;
  EXECUTE format('UPDATE %I.document d SET metadata = x.metadata, acl = x.acl, expires_at = x.expires_at, changed_at = now()
    FROM rag_130779524d4f.changes($1) x WHERE d.id = x.id', p.schema) USING changes;
  FOR r IN SELECT rag_130779524d4f.live_revisions(p.schema) LOOP
    EXECUTE format('UPDATE %I.chunk_r%s c SET metadata = x.metadata, acl = x.acl, expires_at = x.expires_at
      FROM rag_130779524d4f.changes($1) x WHERE c.document = x.id', p.schema, r) USING changes;
    GET DIAGNOSTICS n = ROW_COUNT;
    visible := visible OR (n > 0 AND r = p.active);
  END LOOP;
  IF visible THEN PERFORM rag_130779524d4f.bump(p.tenant); END IF;
END $_$;
ALTER FUNCTION rag_130779524d4f.restate(fence bigint, changes jsonb) OWNER TO rag_130779524d4f_owner;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE rag_130779524d4f.pointer (
    tenant uuid NOT NULL,
    schema text NOT NULL,
    login text NOT NULL,
    open boolean DEFAULT true NOT NULL,
    active integer,
    shape jsonb,
    version bigint DEFAULT 0 NOT NULL,
    token text DEFAULT replace((gen_random_uuid())::text, '-'::text, ''::text) NOT NULL,
    wal pg_lsn DEFAULT '0/0'::pg_lsn NOT NULL,
    promotion bigint DEFAULT 0 NOT NULL,
    seq bigint DEFAULT 0 NOT NULL,
    fence bigint DEFAULT 0 NOT NULL,
    summary jsonb DEFAULT '{}'::jsonb NOT NULL
)
WITH (fillfactor='50');
ALTER TABLE rag_130779524d4f.pointer OWNER TO rag_130779524d4f_owner;
CREATE FUNCTION rag_130779524d4f.self() RETURNS rag_130779524d4f.pointer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE p rag_130779524d4f.pointer;
BEGIN
  SELECT * INTO p FROM rag_130779524d4f.pointer WHERE login = session_user;
  IF NOT FOUND THEN RAISE EXCEPTION 'login % belongs to no tenant of this catalog', session_user USING ERRCODE = 'RG003'; END IF;
  IF NOT p.open THEN RAISE EXCEPTION 'tenant % is closed', p.tenant USING ERRCODE = 'RG002'; END IF;
  RETURN p;
END $$;
ALTER FUNCTION rag_130779524d4f.self() OWNER TO rag_130779524d4f_owner;
CREATE FUNCTION rag_130779524d4f.self_tenant() RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$SELECT tenant FROM rag_130779524d4f.pointer WHERE login = session_user$$;
ALTER FUNCTION rag_130779524d4f.self_tenant() OWNER TO rag_130779524d4f_owner;
CREATE FUNCTION rag_130779524d4f.shape_of(s text, n integer) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE r jsonb;
BEGIN
  EXECUTE format('SELECT shape FROM %I.revision WHERE number = $1', s) INTO r USING n;
  RETURN r;
END $_$;
ALTER FUNCTION rag_130779524d4f.shape_of(s text, n integer) OWNER TO rag_130779524d4f_owner;
CREATE FUNCTION rag_130779524d4f.take(step text, revision integer, shard integer, holder text, ttl interval) RETURNS TABLE(epoch bigint, watermark bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE p rag_130779524d4f.pointer := rag_130779524d4f.self();
BEGIN
  EXECUTE format('INSERT INTO %I.run (step, revision, shard) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING', p.schema)
    USING step, revision, shard;
  EXECUTE format('UPDATE %I.run SET holder = $4, epoch = epoch + 1, expires_at = clock_timestamp() + $5
    WHERE step = $1 AND revision = $2 AND shard = $3 AND (holder = $4 OR expires_at < clock_timestamp())
    RETURNING epoch, watermark', p.schema) INTO epoch, watermark USING step, revision, shard, holder, ttl;
  IF epoch IS NULL THEN RETURN; END IF;
  IF step = 'Sync' THEN UPDATE rag_130779524d4f.pointer SET fence = take.epoch WHERE tenant = p.tenant; END IF;
  RETURN NEXT;
END $_$;
ALTER FUNCTION rag_130779524d4f.take(step text, revision integer, shard integer, holder text, ttl interval) OWNER TO rag_130779524d4f_owner;
CREATE FUNCTION rag_130779524d4f.tombstone(fence bigint, ids bigint[]) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE p rag_130779524d4f.pointer := rag_130779524d4f.self(); base bigint; r int; gone bigint; visible bool := false;
BEGIN
  base := rag_130779524d4f.draw(cardinality(ids), fence) - cardinality(ids);
  SELECT t.active INTO p.active FROM rag_130779524d4f.pointer t WHERE t.tenant = p.tenant;
  EXECUTE format('UPDATE %I.document d SET deleted = true, text = '''', sections = ''[]'', validator = NULL, content_hash = '''',
    seq = $2 + i.ord, changed_at = now() FROM unnest($1) WITH ORDINALITY i(id, ord) WHERE d.id = i.id AND NOT d.deleted', p.schema)
    USING ids, base;
  FOR r IN SELECT rag_130779524d4f.live_revisions(p.schema) LOOP
    gone := rag_130779524d4f.remove_chunks(p.schema, r, ids);
    visible := visible OR (gone > 0 AND r = p.active);
  END LOOP;
  IF visible THEN PERFORM rag_130779524d4f.bump(p.tenant); END IF;
  RETURN cardinality(ids);
END $_$;
ALTER FUNCTION rag_130779524d4f.tombstone(fence bigint, ids bigint[]) OWNER TO rag_130779524d4f_owner;
CREATE TABLE rag_130779524d4f.dead_letter (
    tenant uuid NOT NULL,
    source text NOT NULL,
    path text NOT NULL,
    step text NOT NULL,
    reason text NOT NULL,
    message text NOT NULL,
    validator text,
    attempts integer DEFAULT 1 NOT NULL,
    first_at timestamp with time zone DEFAULT now() NOT NULL,
    last_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT dead_letter_step_check CHECK ((step = ANY (ARRAY['Sync'::text, 'Index'::text])))
);
ALTER TABLE rag_130779524d4f.dead_letter OWNER TO rag_130779524d4f_owner;
CREATE TABLE rag_130779524d4f.instance (
    one boolean DEFAULT true NOT NULL,
    catalog_id uuid NOT NULL,
    pipeline text NOT NULL,
    pipeline_uid text NOT NULL,
    schema_version integer NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT instance_one_check CHECK (one)
);
ALTER TABLE rag_130779524d4f.instance OWNER TO rag_130779524d4f_owner;
CREATE TABLE rag_130779524d4f.leader (
    one boolean DEFAULT true NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL,
    holder text DEFAULT ''::text NOT NULL,
    taken_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT leader_one_check CHECK (one)
);
ALTER TABLE rag_130779524d4f.leader OWNER TO rag_130779524d4f_owner;
CREATE TABLE rag_130779524d4f.profile (
    identity text NOT NULL,
    profile jsonb NOT NULL
);
ALTER TABLE rag_130779524d4f.profile OWNER TO rag_130779524d4f_owner;
CREATE TABLE rag_130779524d4f.promotion (
    one boolean DEFAULT true NOT NULL,
    number bigint DEFAULT 0 NOT NULL,
    CONSTRAINT promotion_one_check CHECK (one)
);
ALTER TABLE rag_130779524d4f.promotion OWNER TO rag_130779524d4f_owner;
CREATE TABLE rag_130779524d4f.query_login (
    shard smallint NOT NULL,
    role text NOT NULL,
    credential_version text DEFAULT ''::text NOT NULL
);
ALTER TABLE rag_130779524d4f.query_login OWNER TO rag_130779524d4f_owner;
CREATE TABLE rag_130779524d4f.reader_lease (
    pod text NOT NULL,
    applied bigint NOT NULL,
    pinned bigint NOT NULL,
    failures jsonb DEFAULT '{}'::jsonb NOT NULL,
    expires_at timestamp with time zone NOT NULL
);
ALTER TABLE rag_130779524d4f.reader_lease OWNER TO rag_130779524d4f_owner;
CREATE TABLE rag_130779524d4f.tenant (
    id uuid NOT NULL,
    namespace text NOT NULL,
    name text NOT NULL,
    uid text NOT NULL,
    state text NOT NULL,
    schema text NOT NULL,
    reader text NOT NULL,
    ingestion text NOT NULL,
    shard smallint NOT NULL,
    api_keys text[] DEFAULT '{}'::text[] NOT NULL,
    config jsonb DEFAULT '{}'::jsonb NOT NULL,
    credential_version text DEFAULT ''::text NOT NULL,
    schema_version integer DEFAULT 0 NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT tenant_state_check CHECK ((state = ANY (ARRAY['Active'::text, 'Deactivated'::text, 'Retained'::text, 'Erasing'::text])))
);
ALTER TABLE rag_130779524d4f.tenant OWNER TO rag_130779524d4f_owner;
CREATE TABLE rag_acme_166d54775b.document (
    id bigint NOT NULL,
    source text NOT NULL,
    path text NOT NULL,
    seq bigint NOT NULL,
    deleted boolean DEFAULT false NOT NULL,
    validator text,
    content_hash text NOT NULL,
    extractor text NOT NULL,
    media_type text NOT NULL,
    uri text NOT NULL,
    title text NOT NULL,
    text text NOT NULL,
    sections jsonb DEFAULT '[]'::jsonb NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    acl text[] NOT NULL,
    expires_at timestamp with time zone,
    changed_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE rag_acme_166d54775b.document OWNER TO rag_130779524d4f_owner;
ALTER TABLE rag_acme_166d54775b.document ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME rag_acme_166d54775b.document_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE rag_acme_166d54775b.revision (
    number integer NOT NULL,
    spec_hash text NOT NULL,
    shape jsonb NOT NULL,
    state text DEFAULT 'Building'::text NOT NULL,
    built boolean DEFAULT false NOT NULL,
    message text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    promoted_at timestamp with time zone,
    replaced_at timestamp with time zone,
    CONSTRAINT revision_state_check CHECK ((state = ANY (ARRAY['Building'::text, 'Ready'::text, 'Active'::text, 'Retained'::text, 'Retiring'::text, 'Retired'::text, 'Failed'::text])))
);
ALTER TABLE rag_acme_166d54775b.revision OWNER TO rag_130779524d4f_owner;
CREATE TABLE rag_acme_166d54775b.run (
    step text NOT NULL,
    revision integer DEFAULT 0 NOT NULL,
    shard integer DEFAULT 0 NOT NULL,
    holder text DEFAULT ''::text NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL,
    expires_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    watermark bigint DEFAULT 0 NOT NULL,
    CONSTRAINT run_step_check CHECK ((step = ANY (ARRAY['Sync'::text, 'Index'::text])))
);
ALTER TABLE rag_acme_166d54775b.run OWNER TO rag_130779524d4f_owner;
CREATE TABLE rag_beta_1c363c3428.document (
    id bigint NOT NULL,
    source text NOT NULL,
    path text NOT NULL,
    seq bigint NOT NULL,
    deleted boolean DEFAULT false NOT NULL,
    validator text,
    content_hash text NOT NULL,
    extractor text NOT NULL,
    media_type text NOT NULL,
    uri text NOT NULL,
    title text NOT NULL,
    text text NOT NULL,
    sections jsonb DEFAULT '[]'::jsonb NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    acl text[] NOT NULL,
    expires_at timestamp with time zone,
    changed_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE rag_beta_1c363c3428.document OWNER TO rag_130779524d4f_owner;
ALTER TABLE rag_beta_1c363c3428.document ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME rag_beta_1c363c3428.document_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE rag_beta_1c363c3428.revision (
    number integer NOT NULL,
    spec_hash text NOT NULL,
    shape jsonb NOT NULL,
    state text DEFAULT 'Building'::text NOT NULL,
    built boolean DEFAULT false NOT NULL,
    message text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    promoted_at timestamp with time zone,
    replaced_at timestamp with time zone,
    CONSTRAINT revision_state_check CHECK ((state = ANY (ARRAY['Building'::text, 'Ready'::text, 'Active'::text, 'Retained'::text, 'Retiring'::text, 'Retired'::text, 'Failed'::text])))
);
ALTER TABLE rag_beta_1c363c3428.revision OWNER TO rag_130779524d4f_owner;
CREATE TABLE rag_beta_1c363c3428.run (
    step text NOT NULL,
    revision integer DEFAULT 0 NOT NULL,
    shard integer DEFAULT 0 NOT NULL,
    holder text DEFAULT ''::text NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL,
    expires_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    watermark bigint DEFAULT 0 NOT NULL,
    CONSTRAINT run_step_check CHECK ((step = ANY (ARRAY['Sync'::text, 'Index'::text])))
);
ALTER TABLE rag_beta_1c363c3428.run OWNER TO rag_130779524d4f_owner;
INSERT INTO rag_130779524d4f.instance VALUES (true, '13077952-4d4f-4409-9a64-445fa62e91f9', 'the-namespace/support', '7898fd46-c0f0-49ba-a553-19be637a6538', 1, '2026-11-21 21:38:58.970008+00');
INSERT INTO rag_130779524d4f.leader VALUES (true, 1, 'operator-0', '2026-11-21 21:38:59.10125+00');
INSERT INTO rag_130779524d4f.pointer VALUES ('1c363c34-2872-40bf-8d92-8cf958e9bb12', 'rag_beta_1c363c3428', 'rag_130779524d4f_1c363c342872_ingest', true, NULL, NULL, 0, '8c5ef15bfc8b45e5be15496a8509e245', '0/0', 0, 0, 0, '{}');
INSERT INTO rag_130779524d4f.pointer VALUES ('166d5477-5b86-47a6-a68c-19792bdd2588', 'rag_acme_166d54775b', 'rag_130779524d4f_166d54775b86_ingest', true, NULL, NULL, 0, 'e215aa2013084519bbf7bb0b04fdebf5', '0/0', 0, 0, 1, '{}');
INSERT INTO rag_130779524d4f.profile VALUES ('ccc2ea712cb44be6', '{"model": "all-MiniLM-L6-v2", "endpoint": null, "dimensions": 384, "queryPrefix": "", "documentPrefix": "", "maxInputTokens": 254}');
INSERT INTO rag_130779524d4f.promotion VALUES (true, 0);
INSERT INTO rag_130779524d4f.query_login VALUES (0, 'rag_130779524d4f_query_00', '33f1efeb-cfd4-4eca-92a2-96cd82f22cbd/240');
INSERT INTO rag_130779524d4f.reader_lease VALUES ('a', 9, 9, '{}', '2026-11-21 22:39:00.736976+00');
INSERT INTO rag_130779524d4f.tenant VALUES ('1c363c34-2872-40bf-8d92-8cf958e9bb12', 'the-namespace', 'beta', '35fe92a1-ebd9-44ec-9b46-5a61b4672c97', 'Active', 'rag_beta_1c363c3428', 'rag_130779524d4f_1c363c342872_read', 'rag_130779524d4f_1c363c342872_ingest', 0, '{777035ce091f101f72208c681d4d9c882037306ed06536c17448ae3b0744215c}', '{}', 'c9b60ee7-5eab-46b6-9454-be539567c144/247', 1, '2026-11-21 21:38:59.279306+00');
INSERT INTO rag_130779524d4f.tenant VALUES ('166d5477-5b86-47a6-a68c-19792bdd2588', 'the-namespace', 'acme', 'ea96229f-5053-4294-b1b0-ebebb73ac551', 'Active', 'rag_acme_166d54775b', 'rag_130779524d4f_166d54775b86_read', 'rag_130779524d4f_166d54775b86_ingest', 0, '{f9554e343da43add4d0f382c14436f708a12117b98f9d77a301962357533b699}', '{}', '47d91c20-e4d8-440e-8159-91068259569a/246', 1, '2026-11-21 21:38:59.306968+00');
INSERT INTO rag_acme_166d54775b.document OVERRIDING SYSTEM VALUE VALUES (1, 'handbook', '/hello.md', 1, false, NULL, 'h', 'e', 'text/markdown', 'u', 'Hello', 'The office opens at nine.', '[]', '{}', '{*}', NULL, '2026-11-21 21:39:00.764452+00');
INSERT INTO rag_acme_166d54775b.run VALUES ('Sync', 0, 0, 'job', 1, '2026-11-21 21:49:00.76357+00', 0);
SELECT pg_catalog.setval('rag_acme_166d54775b.document_id_seq', 1, true);
SELECT pg_catalog.setval('rag_beta_1c363c3428.document_id_seq', 1, false);
ALTER TABLE ONLY rag_130779524d4f.dead_letter
    ADD CONSTRAINT dead_letter_pkey PRIMARY KEY (tenant, source, path, step);
ALTER TABLE ONLY rag_130779524d4f.instance
    ADD CONSTRAINT instance_pkey PRIMARY KEY (one);
ALTER TABLE ONLY rag_130779524d4f.leader
    ADD CONSTRAINT leader_pkey PRIMARY KEY (one);
ALTER TABLE ONLY rag_130779524d4f.pointer
    ADD CONSTRAINT pointer_login_key UNIQUE (login);
ALTER TABLE ONLY rag_130779524d4f.pointer
    ADD CONSTRAINT pointer_pkey PRIMARY KEY (tenant);
ALTER TABLE ONLY rag_130779524d4f.profile
    ADD CONSTRAINT profile_pkey PRIMARY KEY (identity);
ALTER TABLE ONLY rag_130779524d4f.promotion
    ADD CONSTRAINT promotion_pkey PRIMARY KEY (one);
ALTER TABLE ONLY rag_130779524d4f.query_login
    ADD CONSTRAINT query_login_pkey PRIMARY KEY (shard);
ALTER TABLE ONLY rag_130779524d4f.query_login
    ADD CONSTRAINT query_login_role_key UNIQUE (role);
ALTER TABLE ONLY rag_130779524d4f.reader_lease
    ADD CONSTRAINT reader_lease_pkey PRIMARY KEY (pod);
ALTER TABLE ONLY rag_130779524d4f.tenant
    ADD CONSTRAINT tenant_ingestion_key UNIQUE (ingestion);
ALTER TABLE ONLY rag_130779524d4f.tenant
    ADD CONSTRAINT tenant_namespace_name_key UNIQUE (namespace, name);
ALTER TABLE ONLY rag_130779524d4f.tenant
    ADD CONSTRAINT tenant_pkey PRIMARY KEY (id);
ALTER TABLE ONLY rag_130779524d4f.tenant
    ADD CONSTRAINT tenant_reader_key UNIQUE (reader);
ALTER TABLE ONLY rag_130779524d4f.tenant
    ADD CONSTRAINT tenant_schema_key UNIQUE (schema);
ALTER TABLE ONLY rag_acme_166d54775b.document
    ADD CONSTRAINT document_pkey PRIMARY KEY (id);
ALTER TABLE ONLY rag_acme_166d54775b.document
    ADD CONSTRAINT document_source_path_key UNIQUE (source, path);
ALTER TABLE ONLY rag_acme_166d54775b.revision
    ADD CONSTRAINT revision_pkey PRIMARY KEY (number);
ALTER TABLE ONLY rag_acme_166d54775b.run
    ADD CONSTRAINT run_pkey PRIMARY KEY (step, revision, shard);
ALTER TABLE ONLY rag_beta_1c363c3428.document
    ADD CONSTRAINT document_pkey PRIMARY KEY (id);
ALTER TABLE ONLY rag_beta_1c363c3428.document
    ADD CONSTRAINT document_source_path_key UNIQUE (source, path);
ALTER TABLE ONLY rag_beta_1c363c3428.revision
    ADD CONSTRAINT revision_pkey PRIMARY KEY (number);
ALTER TABLE ONLY rag_beta_1c363c3428.run
    ADD CONSTRAINT run_pkey PRIMARY KEY (step, revision, shard);
CREATE INDEX document_seq_idx ON rag_acme_166d54775b.document USING btree (seq);
CREATE INDEX document_seq_idx ON rag_beta_1c363c3428.document USING btree (seq);
ALTER TABLE ONLY rag_130779524d4f.tenant
    ADD CONSTRAINT tenant_shard_fkey FOREIGN KEY (shard) REFERENCES rag_130779524d4f.query_login(shard);
ALTER TABLE rag_130779524d4f.dead_letter ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON rag_130779524d4f.dead_letter USING ((tenant = rag_130779524d4f.self_tenant())) WITH CHECK ((tenant = rag_130779524d4f.self_tenant()));
GRANT USAGE ON SCHEMA rag_130779524d4f TO PUBLIC;
GRANT USAGE ON SCHEMA rag_acme_166d54775b TO rag_130779524d4f_166d54775b86_ingest;
GRANT USAGE ON SCHEMA rag_acme_166d54775b TO rag_130779524d4f_166d54775b86_read;
GRANT USAGE ON SCHEMA rag_beta_1c363c3428 TO rag_130779524d4f_1c363c342872_ingest;
GRANT USAGE ON SCHEMA rag_beta_1c363c3428 TO rag_130779524d4f_1c363c342872_read;
REVOKE ALL ON FUNCTION rag_130779524d4f.bump(t uuid) FROM PUBLIC;
REVOKE ALL ON FUNCTION rag_130779524d4f.lex(s text, n integer, docs bigint[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION rag_130779524d4f.live_revisions(s text) FROM PUBLIC;
REVOKE ALL ON FUNCTION rag_130779524d4f.remove_chunks(s text, n integer, docs bigint[]) FROM PUBLIC;
GRANT SELECT ON TABLE rag_130779524d4f.pointer TO rag_130779524d4f_query_00;
REVOKE ALL ON FUNCTION rag_130779524d4f.shape_of(s text, n integer) FROM PUBLIC;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE rag_130779524d4f.dead_letter TO PUBLIC;
GRANT SELECT ON TABLE rag_130779524d4f.instance TO rag_130779524d4f_query_00;
GRANT SELECT ON TABLE rag_130779524d4f.promotion TO rag_130779524d4f_query_00;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE rag_130779524d4f.reader_lease TO rag_130779524d4f_query_00;
GRANT SELECT ON TABLE rag_130779524d4f.tenant TO rag_130779524d4f_query_00;
GRANT SELECT,INSERT,UPDATE ON TABLE rag_acme_166d54775b.document TO rag_130779524d4f_166d54775b86_ingest;
GRANT SELECT ON TABLE rag_acme_166d54775b.revision TO rag_130779524d4f_166d54775b86_ingest;
GRANT SELECT ON TABLE rag_acme_166d54775b.run TO rag_130779524d4f_166d54775b86_ingest;
GRANT SELECT,INSERT,UPDATE ON TABLE rag_beta_1c363c3428.document TO rag_130779524d4f_1c363c342872_ingest;
GRANT SELECT ON TABLE rag_beta_1c363c3428.revision TO rag_130779524d4f_1c363c342872_ingest;
GRANT SELECT ON TABLE rag_beta_1c363c3428.run TO rag_130779524d4f_1c363c342872_ingest;

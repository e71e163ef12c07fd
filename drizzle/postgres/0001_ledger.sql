-- A batch of the ledger: all that one replica asks for between two round trips, in one statement and so in one transaction.
-- What ends makes room first, then work that was done already is entered, then quota is reserved: in the order in which it
-- was asked for, all limits of a call or none. ledger/batch.ts has the types of what goes in and comes out.
--
-- Locks are taken in one order by everybody: the row of the replica, gates by name, limits by id, counters by id, sums by
-- their key. So no two batches, and no batch and no change of a key, can wait for each other in a circle. Each statement of
-- a function sees what was committed before that statement (READ COMMITTED): what is read under a lock is current.
--
-- Units are numbered: 1 requests, 2 tokens, 3 cost. Subscripts begin at 1.

-- The settlements of calls that were in flight; one that had ended before is left out. The work of an object that was
-- charged before costs nothing but the request.
CREATE FUNCTION quota_close(p_ended jsonb, OUT ended jsonb, OUT gates text[]) LANGUAGE plpgsql AS $function$
DECLARE
  v_one record;
BEGIN
  WITH closed AS (
    DELETE FROM holds h USING jsonb_array_elements(p_ended) e WHERE h.seq = (e->>'seq')::bigint RETURNING h.seq, h.gates, e
  )
  SELECT coalesce(jsonb_agg(e ORDER BY seq), '[]'),
    ARRAY(SELECT unnest(c.gates) FROM closed c)
  INTO ended, gates FROM closed;
  IF NOT jsonb_path_exists(ended, '$[*].object') THEN
    RETURN;
  END IF;
  FOR v_one IN
    SELECT e, n FROM jsonb_array_elements(ended) WITH ORDINALITY t(e, n) WHERE e ? 'object'
    ORDER BY e->>'upstream', e->>'object', n
  LOOP
    INSERT INTO charged_objects (upstream, object, at)
    VALUES (v_one.e->>'upstream', v_one.e->>'object', (v_one.e->>'at')::bigint) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
      ended := jsonb_set(ended, ARRAY[(v_one.n - 1)::text], v_one.e || '{"tokens_charged": 0, "cost_charged": 0}');
    END IF;
  END LOOP;
END
$function$;
--> statement-breakpoint
-- Opens the counters that are missing. The limits of windows that slide are locked until the batch ends, since what counts
-- there is spread over rows that come and go; so are limits whose counter is opened, that no change of the key slips in. All
-- of them are locked by one statement: two would lock each in an order of its own.
CREATE FUNCTION quota_open(p_groups jsonb, p_limits jsonb, p_now bigint) RETURNS void LANGUAGE plpgsql AS $function$
DECLARE
  v_missing bigint[];
  v_locked bigint[];
BEGIN
  SELECT array_agg(id) FILTER (WHERE is_missing), array_agg(id) FILTER (WHERE is_missing OR bucket IS NOT NULL)
  INTO v_missing, v_locked
  FROM (
    SELECT l.id, l.bucket, NOT EXISTS (
      SELECT 1 FROM counters c WHERE c.limit_id = l.id AND c.retired_at IS NULL
        AND c.period_start = quota_period_start(l.start, l.bucket, coalesce(g.at, p_now))
    ) AS is_missing
    FROM jsonb_to_recordset(p_limits) AS l(g integer, id bigint, start bigint, bucket bigint)
    JOIN jsonb_to_recordset(p_groups) AS g(n integer, at bigint) ON g.n = l.g
  ) wanted;
  IF v_locked IS NULL THEN
    RETURN;
  END IF;
  PERFORM 1 FROM limits WHERE id = ANY (v_locked) ORDER BY id FOR NO KEY UPDATE;
  IF v_missing IS NULL THEN
    RETURN;
  END IF;
  INSERT INTO counters (limit_id, unit, period_start, period_end, amount)
  SELECT DISTINCT ON (m.id, p.start) m.id, m.unit, p.start, coalesce(p.start + l.bucket, l."end"), m.amount
  FROM jsonb_to_recordset(p_limits) AS l(g integer, id bigint, start bigint, "end" bigint, bucket bigint)
  JOIN jsonb_to_recordset(p_groups) AS g(n integer, key bigint, revision integer, at bigint) ON g.n = l.g
  JOIN keys k ON k.seq = g.key AND k.revision = g.revision
  JOIN limits m ON m.id = l.id AND m.key_seq = g.key
  CROSS JOIN LATERAL (SELECT quota_period_start(l.start, l.bucket, coalesce(g.at, p_now)) AS start) p
  WHERE l.id = ANY (v_missing) ORDER BY m.id, p.start
  ON CONFLICT (limit_id, period_start) WHERE retired_at IS NULL DO NOTHING;
END
$function$;
--> statement-breakpoint
CREATE FUNCTION quota_period_start(p_start bigint, p_bucket bigint, p_at bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $function$
  SELECT CASE WHEN p_bucket IS NULL THEN p_start ELSE p_at - p_at % p_bucket END
$function$;
--> statement-breakpoint
CREATE FUNCTION quota_write(p_replica bigint, p_epoch integer, p_batch bigint, p_work jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $function$
DECLARE
  c_lease_ms CONSTANT bigint := 15000;
  v_now bigint := floor(extract(epoch FROM clock_timestamp()) * 1000);
  v_groups jsonb := coalesce(p_work->'groups', '[]');
  v_limits jsonb := coalesce(p_work->'limits', '[]');
  v_calls jsonb := coalesce(p_work->'calls', '[]');
  v_ended jsonb := '[]';

  -- Gates, which bound calls in flight, by name.
  v_gate text[] := '{}';
  v_gate_calls integer[] := '{}';
  v_gate_before integer[] := '{}';

  -- Counters by id: what is used and held, as it was and as it becomes, and what of it was reserved here.
  v_counter bigint[] := '{}';
  v_unit integer[] := '{}';
  v_before bigint[] := '{}';
  v_held_before bigint[] := '{}';
  v_used bigint[] := '{}';
  v_held bigint[] := '{}';
  v_reserved bigint[] := '{}';
  v_ready bigint[];
  v_ready_held bigint[];

  -- Groups: claims of one key as their replica knows it. Their limits lie one after the other.
  v_state text[] := '{}';
  v_key_gate integer[] := '{}';
  v_key_max integer[] := '{}';
  v_first integer[] := '{}';
  v_last integer[] := '{}';
  v_place integer[] := '{}';
  v_limit_unit integer[] := '{}';
  v_other bigint[] := '{}';
  v_room bigint[] := '{}';
  v_view jsonb := '[]';

  -- Calls: their units, and what becomes of them.
  v_group integer[] := '{}';
  v_units bigint[] := '{}';
  v_call_gate integer[] := '{}';
  v_call_max integer[] := '{}';
  v_known boolean[] := '{}';
  v_entry jsonb[] := '{}';
  v_answer text[] := '{}';
  v_seq bigint[] := '{}';

  v_g integer;
  v_i integer;
  v_p integer;
  v_n bigint;
  v_fits boolean;
  v_changed bigint;
  v_written bigint;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'the ledger needs READ COMMITTED' USING ERRCODE = 'QP002';
  END IF;
  IF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  PERFORM set_config('lock_timeout', '4s', true);

  UPDATE replicas SET batch = p_batch, lease_until = v_now + c_lease_ms
  WHERE seq = p_replica AND epoch = p_epoch AND batch < p_batch AND ended_at IS NULL;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'this replica may write no more' USING ERRCODE = 'QP001';
  END IF;

  IF p_work ? 'ended' THEN
    SELECT c.ended, c.gates INTO v_ended, v_gate FROM quota_close(p_work->'ended') c;
  END IF;

  -- Gates: those that are left, and those that somebody wants to pass.
  IF v_gate <> '{}' OR jsonb_path_exists(p_work, '$.*[*].gate') THEN
    WITH asked AS (SELECT jsonb_path_query(p_work, '$.*[*].gate') #>> '{}' AS name)
    INSERT INTO in_flight (name) SELECT DISTINCT a.name FROM asked a
    WHERE NOT EXISTS (SELECT 1 FROM in_flight f WHERE f.name = a.name) ORDER BY a.name ON CONFLICT DO NOTHING;
    WITH left_by AS (
      SELECT name, count(*)::integer AS calls FROM unnest(v_gate) name GROUP BY name
    ), locked AS (
      SELECT f.name, f.calls FROM in_flight f
      WHERE f.name IN (SELECT jsonb_path_query(p_work, '$.*[*].gate') #>> '{}' UNION SELECT name FROM left_by)
      ORDER BY f.name FOR UPDATE
    )
    SELECT array_agg(f.name ORDER BY f.name), array_agg(f.calls ORDER BY f.name),
      array_agg(f.calls - coalesce(l.calls, 0) ORDER BY f.name)
    INTO v_gate, v_gate_before, v_gate_calls FROM locked f LEFT JOIN left_by l USING (name);
  END IF;

  -- A period that a replica takes to be the present one may be over: the clock of the database decides.
  IF v_groups <> '[]' THEN
    SELECT array_agg(CASE WHEN EXISTS (
        SELECT 1 FROM jsonb_to_recordset(v_limits) AS l(g integer, start bigint, "end" bigint, bucket bigint)
        WHERE l.g = g.n AND l.bucket IS NULL AND (coalesce(g.at, v_now) < l.start OR coalesce(g.at, v_now) >= l."end")
      ) THEN 'again' ELSE 'ok' END ORDER BY g.n)
    INTO v_state FROM jsonb_to_recordset(v_groups) AS g(n integer, at bigint);
    SELECT coalesce(jsonb_agg(l ORDER BY n), '[]') INTO v_limits
    FROM jsonb_array_elements(v_limits) WITH ORDINALITY t(l, n) WHERE v_state[(l->>'g')::integer] = 'ok';
    PERFORM quota_open(v_groups, v_limits, v_now);
  END IF;

  -- Every counter of the batch, locked in the order of the ids.
  IF v_ended <> '[]' OR v_limits <> '[]' THEN
    WITH named AS (
      SELECT n::text::bigint AS id FROM jsonb_array_elements(v_ended) e, jsonb_array_elements(e->'counters') n
      UNION
      SELECT c.id FROM jsonb_to_recordset(v_limits) AS l(g integer, id bigint, start bigint, bucket bigint)
      JOIN jsonb_to_recordset(v_groups) AS g(n integer, at bigint) ON g.n = l.g
      JOIN counters c ON c.limit_id = l.id AND c.retired_at IS NULL
        AND c.period_start = quota_period_start(l.start, l.bucket, coalesce(g.at, v_now))
    ), locked AS (
      SELECT c.id, c.unit, c.used, c.held FROM counters c WHERE c.id IN (SELECT id FROM named) ORDER BY c.id FOR UPDATE
    )
    SELECT coalesce(array_agg(id ORDER BY id), '{}'),
      coalesce(array_agg(array_position('{requests,tokens,cost}', unit) ORDER BY id), '{}'),
      coalesce(array_agg(used ORDER BY id), '{}'), coalesce(array_agg(held ORDER BY id), '{}'),
      coalesce(array_agg(0::bigint ORDER BY id), '{}')
    INTO v_counter, v_unit, v_before, v_held_before, v_reserved FROM locked;
    v_used := v_before;
    v_held := v_held_before;
  END IF;

  IF v_ended <> '[]' THEN
    WITH ended AS (
      SELECT n::text::bigint AS id, ARRAY[e.requests_charged, e.tokens_charged, e.cost_charged] AS charged,
        ARRAY[e.requests_reserved, e.tokens_reserved, e.cost_reserved] AS reserved
      FROM jsonb_to_recordset(v_ended) AS e(counters jsonb, requests_charged bigint, tokens_charged bigint, cost_charged bigint,
        requests_reserved bigint, tokens_reserved bigint, cost_reserved bigint), jsonb_array_elements(e.counters) n
    ), changes AS (
      SELECT c.i, sum(e.charged[v_unit[c.i]] - e.reserved[v_unit[c.i]])::bigint AS used, sum(e.reserved[v_unit[c.i]])::bigint AS held
      FROM unnest(v_counter) WITH ORDINALITY c(id, i) JOIN ended e USING (id) GROUP BY c.i
    )
    SELECT coalesce(array_agg(v_before[c.i] + coalesce(d.used, 0) ORDER BY c.i), '{}'),
      coalesce(array_agg(v_held_before[c.i] - coalesce(d.held, 0) ORDER BY c.i), '{}')
    INTO v_used, v_held FROM unnest(v_counter) WITH ORDINALITY c(id, i) LEFT JOIN changes d USING (i);
  END IF;

  IF v_groups <> '[]' THEN
    -- The keys, read after all locks were got.
    SELECT array_agg(CASE
        WHEN v_state[g.n] <> 'ok' THEN v_state[g.n]
        WHEN k.seq IS NULL OR (k.deleted_at IS NOT NULL AND NOT g.record) THEN 'unknown'
        WHEN NOT k.enabled AND NOT g.record THEN 'disabled'
        WHEN k.expires_at <= coalesce(g.at, v_now) AND NOT g.record THEN 'expired'
        WHEN k.revision <> g.revision THEN 'changed'
        ELSE 'ok' END ORDER BY g.n),
      array_agg(array_position(v_gate, g.gate) ORDER BY g.n), array_agg(g.gate_max ORDER BY g.n)
    INTO v_state, v_key_gate, v_key_max
    FROM jsonb_to_recordset(v_groups)
      AS g(n integer, key bigint, revision integer, at bigint, record boolean, gate text, gate_max integer)
    LEFT JOIN keys k ON k.seq = g.key;

    WITH wanted AS (
      SELECT l.n, l.g, c.i, m.unit, m.amount, l.bucket, b.buckets, b.other, b.credited
      FROM jsonb_array_elements(v_limits) WITH ORDINALITY t(j, n)
      CROSS JOIN LATERAL (SELECT (j->>'g')::integer AS g, (j->>'id')::bigint AS id, (j->>'start')::bigint AS start,
        (j->>'bucket')::bigint AS bucket, (j->>'window')::bigint AS "window", t.n) l
      JOIN jsonb_to_recordset(v_groups) AS g(n integer, at bigint) ON g.n = l.g
      LEFT JOIN limits m ON m.id = l.id
      LEFT JOIN LATERAL (
        SELECT x.id, p.i::integer AS i FROM counters x JOIN unnest(v_counter) WITH ORDINALITY p(id, i) ON p.id = x.id
        WHERE x.limit_id = l.id AND x.retired_at IS NULL
          AND x.period_start = quota_period_start(l.start, l.bucket, coalesce(g.at, v_now))
      ) c ON true
      LEFT JOIN LATERAL (
        SELECT sum(CASE WHEN x.id = c.id THEN 0 ELSE coalesce(v_used[p.i], x.used) END)::bigint AS other,
          sum(x.credited)::bigint AS credited,
          CASE WHEN l.bucket IS NOT NULL THEN jsonb_agg(
            jsonb_build_array(x.id, x.period_start, coalesce(v_used[p.i], x.used), x.credited, coalesce(v_held[p.i], x.held))
            ORDER BY x.period_start) END AS buckets
        FROM counters x LEFT JOIN unnest(v_counter) WITH ORDINALITY p(id, i) ON p.id = x.id
        WHERE x.limit_id = l.id AND x.retired_at IS NULL AND CASE WHEN l.bucket IS NULL THEN x.id = c.id ELSE
          x.period_start > quota_period_start(l.start, l.bucket, coalesce(g.at, v_now)) - l."window" - l.bucket END
      ) b ON true
    )
    SELECT coalesce(array_agg(i ORDER BY n), '{}'),
      coalesce(array_agg(array_position('{requests,tokens,cost}', unit) ORDER BY n), '{}'),
      coalesce(array_agg(coalesce(other, 0) ORDER BY n), '{}'),
      coalesce(array_agg(CASE WHEN amount IS NOT NULL THEN greatest(0, amount + coalesce(credited, 0)) END ORDER BY n), '{}'),
      coalesce(jsonb_agg(jsonb_build_array(g, v_counter[i], coalesce(other, 0), coalesce(credited, 0), buckets) ORDER BY n), '[]')
    INTO v_place, v_limit_unit, v_other, v_room, v_view FROM wanted;
    SELECT array_agg(coalesce(r.first, 1) ORDER BY g.n), array_agg(coalesce(r.last, 0) ORDER BY g.n) INTO v_first, v_last
    FROM jsonb_to_recordset(v_groups) AS g(n integer)
    LEFT JOIN (SELECT (j->>'g')::integer AS g, min(n)::integer AS first, max(n)::integer AS last
      FROM jsonb_array_elements(v_limits) WITH ORDINALITY t(j, n) GROUP BY 1) r ON r.g = g.n;
    -- A limit that has no counter was changed just now, and its key with it.
    FOR v_g IN 1 .. cardinality(v_state) LOOP
      IF v_state[v_g] = 'ok' AND array_position(v_place[v_first[v_g]:v_last[v_g]], NULL) IS NOT NULL THEN
        v_state[v_g] := 'changed';
      END IF;
    END LOOP;

    SELECT array_agg(c.g ORDER BY n), array_agg(array_position(v_gate, c.gate) ORDER BY n), array_agg(c.gate_max ORDER BY n),
      array_agg(c.upstream_revision IS NULL OR EXISTS (SELECT 1 FROM upstreams u
        WHERE u.name = c.upstream AND u.enabled AND u.revision = c.upstream_revision) ORDER BY n),
      array_agg(j->'entry' ORDER BY n), array_agg(NULL::text ORDER BY n), array_agg(NULL::bigint ORDER BY n)
    INTO v_group, v_call_gate, v_call_max, v_known, v_entry, v_answer, v_seq
    FROM jsonb_array_elements(v_calls) WITH ORDINALITY t(j, n) CROSS JOIN LATERAL
      jsonb_to_record(j) AS c(g integer, gate text, gate_max integer, upstream text, upstream_revision bigint);
    SELECT array_agg(u ORDER BY n, i) INTO v_units
    FROM jsonb_array_elements(v_calls) WITH ORDINALITY t(j, n) CROSS JOIN LATERAL
      unnest(ARRAY[(j->>'requests')::bigint, (j->>'tokens')::bigint, (j->>'cost')::bigint]) WITH ORDINALITY u(u, i);

    -- What was done already passes a limit if it must.
    FOR v_i IN 1 .. cardinality(v_group) LOOP
      v_g := v_group[v_i];
      CONTINUE WHEN v_entry[v_i] IS NULL;
      v_answer[v_i] := v_state[v_g];
      CONTINUE WHEN v_state[v_g] <> 'ok';
      FOR v_p IN v_first[v_g] .. v_last[v_g] LOOP
        v_used[v_place[v_p]] := v_used[v_place[v_p]] + v_units[v_i * 3 - 3 + v_limit_unit[v_p]];
      END LOOP;
      v_seq[v_i] := nextval('call_seq');
      v_ended := v_ended || (v_entry[v_i] || jsonb_build_object('seq', v_seq[v_i], 'at', coalesce((v_groups->(v_g - 1)->>'at')::bigint, v_now),
        'counters', ARRAY(SELECT v_counter[v_place[p]] FROM generate_series(v_first[v_g], v_last[v_g]) p)));
    END LOOP;
    v_ready := v_used;
    v_ready_held := v_held;

    -- The charge.
    FOR v_i IN 1 .. cardinality(v_group) LOOP
      v_g := v_group[v_i];
      CONTINUE WHEN v_entry[v_i] IS NOT NULL;
      v_answer[v_i] := CASE
        WHEN v_state[v_g] <> 'ok' THEN v_state[v_g]
        WHEN NOT v_known[v_i] THEN 'moved'
        WHEN v_gate_calls[v_key_gate[v_g]] >= v_key_max[v_g] THEN 'key_busy'
        WHEN v_gate_calls[v_call_gate[v_i]] >= v_call_max[v_i] THEN 'upstream_busy'
        ELSE 'ok' END;
      CONTINUE WHEN v_answer[v_i] <> 'ok';
      v_fits := true;
      FOR v_p IN v_first[v_g] .. v_last[v_g] LOOP
        v_n := v_units[v_i * 3 - 3 + v_limit_unit[v_p]];
        v_fits := v_fits AND coalesce(v_other[v_p] + v_used[v_place[v_p]] + v_n <= v_room[v_p], true);
      END LOOP;
      IF NOT v_fits THEN
        v_answer[v_i] := 'full';
        CONTINUE;
      END IF;
      FOR v_p IN v_first[v_g] .. v_last[v_g] LOOP
        v_n := v_units[v_i * 3 - 3 + v_limit_unit[v_p]];
        v_used[v_place[v_p]] := v_used[v_place[v_p]] + v_n;
        v_held[v_place[v_p]] := v_held[v_place[v_p]] + v_n;
        v_reserved[v_place[v_p]] := v_reserved[v_place[v_p]] + v_n;
      END LOOP;
      IF v_key_gate[v_g] IS NOT NULL THEN
        v_gate_calls[v_key_gate[v_g]] := v_gate_calls[v_key_gate[v_g]] + 1;
      END IF;
      IF v_call_gate[v_i] IS NOT NULL THEN
        v_gate_calls[v_call_gate[v_i]] := v_gate_calls[v_call_gate[v_i]] + 1;
      END IF;
      v_seq[v_i] := nextval('call_seq');
    END LOOP;

    INSERT INTO holds (seq, key_seq, at, upstream, request_id, requests, tokens, cost, counters, gates, replica, batch, place)
    SELECT v_seq[c.n], g.key, coalesce(g.at, v_now), c.upstream, c.request_id, c.requests, c.tokens, c.cost,
      ARRAY(SELECT v_counter[v_place[p]] FROM generate_series(v_first[c.g], v_last[c.g]) p),
      array_remove(ARRAY[g.gate, c.gate], NULL), p_replica, p_batch, c.n
    FROM jsonb_to_recordset(v_calls)
      AS c(n integer, g integer, upstream text, request_id text, requests bigint, tokens bigint, cost bigint, gate text)
    JOIN jsonb_to_recordset(v_groups) AS g(n integer, key bigint, at bigint, gate text) ON g.n = c.g
    WHERE v_seq[c.n] IS NOT NULL AND v_entry[c.n] IS NULL;
  END IF;

  -- The guard stands in the statement that writes, whatever was reckoned above.
  SELECT count(*) INTO v_changed FROM unnest(v_before, v_used, v_held_before, v_held) d(b, u, hb, h) WHERE u <> b OR h <> hb;
  IF v_changed > 0 THEN
    UPDATE counters c SET used = c.used + d.used, held = c.held + d.held
    FROM (
      SELECT id, u - b AS used, h - hb AS held, r FROM unnest(v_counter, v_before, v_used, v_held_before, v_held, v_reserved) x(id, b, u, hb, h, r)
      WHERE u <> b OR h <> hb
    ) d
    WHERE c.id = d.id AND (d.r = 0 OR (c.retired_at IS NULL AND (
      c.amount IS NULL OR c.period_end - c.period_start < 7200000 OR c.used + d.used <= greatest(0, c.amount + c.credited))));
    GET DIAGNOSTICS v_written = ROW_COUNT;
    IF v_written <> v_changed THEN
      RAISE EXCEPTION 'a counter had room and could not be charged' USING ERRCODE = 'QP003';
    END IF;
  END IF;
  IF v_gate_calls <> v_gate_before THEN
    UPDATE in_flight f SET calls = d.calls FROM unnest(v_gate, v_gate_calls) d(name, calls)
    WHERE f.name = d.name AND f.calls <> d.calls;
  END IF;

  IF v_ended <> '[]' THEN
    INSERT INTO calls (seq, key_seq, at, upstream, request_id, outcome, status, requests_reserved, requests_charged,
      tokens_reserved, tokens_charged, cost_reserved, cost_charged, latency_ms, bytes_in, bytes_out, model, tokens_input,
      tokens_output, tokens_cached, tokens_reasoning, estimated, price_list_id, counters, usage_parts)
    SELECT seq, key_seq, at, upstream, request_id, outcome, status, requests_reserved, requests_charged,
      tokens_reserved, tokens_charged, cost_reserved, cost_charged, latency_ms, bytes_in, bytes_out, model, tokens_input,
      tokens_output, tokens_cached, tokens_reasoning, estimated, price_list_id, counters, usage_parts
    FROM jsonb_populate_recordset(NULL::calls, v_ended);
    INSERT INTO usage_hourly (hour, key_seq, upstream, model, calls, failed, requests, tokens, cost, bytes_in, bytes_out,
      latency_ms, estimated)
    SELECT at - at % 3600000, key_seq, upstream, rollup, count(*),
      count(*) FILTER (WHERE outcome <> 'answered' OR status IS NULL OR status >= 500),
      sum(requests_charged), sum(tokens_charged), sum(cost_charged), sum(bytes_in), sum(bytes_out), sum(latency_ms),
      count(*) FILTER (WHERE estimated)
    FROM jsonb_to_recordset(v_ended) AS e(at bigint, key_seq bigint, upstream text, rollup text, outcome text, status integer,
      requests_charged bigint, tokens_charged bigint, cost_charged bigint, bytes_in bigint, bytes_out bigint,
      latency_ms bigint, estimated boolean)
    GROUP BY 1, 2, 3, 4 ORDER BY 2, 1, 3, 4
    ON CONFLICT (key_seq, hour, upstream, model) DO UPDATE SET calls = usage_hourly.calls + excluded.calls,
      failed = usage_hourly.failed + excluded.failed, requests = usage_hourly.requests + excluded.requests,
      tokens = usage_hourly.tokens + excluded.tokens, cost = usage_hourly.cost + excluded.cost,
      bytes_in = usage_hourly.bytes_in + excluded.bytes_in, bytes_out = usage_hourly.bytes_out + excluded.bytes_out,
      latency_ms = usage_hourly.latency_ms + excluded.latency_ms, estimated = usage_hourly.estimated + excluded.estimated;
  END IF;

  RETURN jsonb_build_object(
    'now', v_now,
    'upstreams', (SELECT upstreams_revision FROM installation),
    'ended', (SELECT coalesce(jsonb_agg(jsonb_build_array(e->'seq', e->'tokens_charged', e->'cost_charged')), '[]')
      FROM jsonb_array_elements(v_ended) e WHERE NOT e ? 'record'),
    'counters', to_jsonb(v_counter), 'used', to_jsonb(coalesce(v_ready, v_used)), 'held', to_jsonb(coalesce(v_ready_held, v_held)),
    'states', to_jsonb(v_state), 'limits', v_view, 'answers', to_jsonb(v_answer), 'seqs', to_jsonb(v_seq));
END
$function$;
--> statement-breakpoint
-- A batch touches a few rows of tables of any size, each by its key, and the planner cannot know that: it takes a list in JSON to
-- be long. One plan does for all batches.
ALTER FUNCTION quota_write(bigint, integer, bigint, jsonb) SET plan_cache_mode = force_generic_plan SET jit = off
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off;

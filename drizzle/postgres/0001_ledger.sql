-- A batch of the ledger: all that one replica asks for between two round trips, in one statement and so in one transaction.
-- What ends makes room first, then work that was done already is entered, then quota is reserved: in the order in which it
-- was asked for, all limits of a call or none. ledger/batch.ts has the types of what goes in and comes out.
--
-- Locks are taken in one order by everybody: the row of the replica, gates by name, limits by id, counters by id, sums by
-- their key. So no two batches, and no batch and no change of a key, can wait for each other in a circle. Each statement of
-- a function sees what was committed before that statement (READ COMMITTED): what is read under a lock is current.
--
-- Lists come as arrays, which cost a tenth of rows in JSON. Units are numbered: 1 requests, 2 tokens, 3 cost. Subscripts begin
-- at 1.

-- The settlements of calls that were in flight; one that had ended before is left out. The work of an object that was
-- charged before costs nothing but the request.
CREATE FUNCTION quota_close(p_ended jsonb, OUT ended jsonb, OUT gates text[]) LANGUAGE plpgsql AS $function$
DECLARE
  v_closed bigint[];
  v_one record;
BEGIN
  WITH closed AS (
    DELETE FROM holds h WHERE h.seq = ANY (ARRAY(SELECT (e->>'seq')::bigint FROM jsonb_array_elements(p_ended) e))
    RETURNING h.seq, h.gates
  )
  SELECT array_agg(seq), ARRAY(SELECT unnest(c.gates) FROM closed c) INTO v_closed, gates FROM closed;
  ended := p_ended;
  IF coalesce(cardinality(v_closed), 0) < jsonb_array_length(p_ended) THEN
    SELECT coalesce(jsonb_agg(e ORDER BY n), '[]') INTO ended
    FROM jsonb_array_elements(p_ended) WITH ORDINALITY t(e, n) WHERE (e->>'seq')::bigint = ANY (v_closed);
  END IF;
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
-- The counters of limits in their periods, null where there is none. For a window that slides, that of its present bucket.
CREATE FUNCTION quota_find(p_limit bigint[], p_start bigint[]) RETURNS bigint[] LANGUAGE sql AS $function$
  SELECT array_agg(c.id ORDER BY l.n)
  FROM unnest(p_limit, p_start) WITH ORDINALITY l(id, start, n)
  LEFT JOIN counters c ON c.limit_id = l.id AND c.period_start = l.start AND c.retired_at IS NULL
$function$;
--> statement-breakpoint
-- Opens the counters that are missing. Limits are locked until the batch ends where their window slides, since what counts
-- there is spread over rows that come and go; so are limits whose counter is opened, that no change of the key slips in. All
-- of them are locked by one statement: two would lock each in an order of its own.
CREATE FUNCTION quota_open(p_limit bigint[], p_start bigint[], p_end bigint[], p_bucket bigint[], p_counter bigint[],
  p_key bigint[], p_revision integer[]) RETURNS void LANGUAGE plpgsql AS $function$
BEGIN
  PERFORM 1 FROM limits WHERE id = ANY (ARRAY(
    SELECT l.id FROM unnest(p_limit, p_bucket, p_counter) l(id, bucket, counter) WHERE l.bucket IS NOT NULL OR l.counter IS NULL
  )) ORDER BY id FOR NO KEY UPDATE;
  IF array_position(p_counter, NULL) IS NULL THEN
    RETURN;
  END IF;
  INSERT INTO counters (limit_id, unit, period_start, period_end, amount)
  SELECT DISTINCT ON (m.id, l.start) m.id, m.unit, l.start, l."end", m.amount
  FROM unnest(p_limit, p_start, p_end, p_counter, p_key, p_revision) l(id, start, "end", counter, key, revision)
  JOIN keys k ON k.seq = l.key AND k.revision = l.revision
  JOIN limits m ON m.id = l.id AND m.key_seq = l.key
  WHERE l.counter IS NULL ORDER BY m.id, l.start
  ON CONFLICT (limit_id, period_start) WHERE retired_at IS NULL DO NOTHING;
END
$function$;
--> statement-breakpoint
-- Gates, which bound calls in flight: locks those that are left or that somebody wants to pass, and opens what is missing.
CREATE FUNCTION quota_gates(p_left text[], p_asked text[], OUT names text[], OUT before integer[], OUT calls integer[])
LANGUAGE plpgsql AS $function$
BEGIN
  INSERT INTO in_flight (name) SELECT DISTINCT a.name FROM unnest(p_asked) a(name)
  WHERE a.name IS NOT NULL AND NOT EXISTS (SELECT 1 FROM in_flight f WHERE f.name = a.name) ORDER BY a.name
  ON CONFLICT DO NOTHING;
  WITH left_by AS (
    SELECT name, count(*)::integer AS calls FROM unnest(p_left) name GROUP BY name
  ), locked AS (
    SELECT f.name, f.calls FROM in_flight f WHERE f.name = ANY (p_left || p_asked) ORDER BY f.name FOR UPDATE
  )
  SELECT array_agg(f.name ORDER BY f.name), array_agg(f.calls ORDER BY f.name),
    array_agg(f.calls - coalesce(l.calls, 0) ORDER BY f.name)
  INTO names, before, calls FROM locked f LEFT JOIN left_by l USING (name);
END
$function$;
--> statement-breakpoint
-- p_ended: rows of `calls`, with the name of the model in sums, and the object that was charged. p_entry: the same of work that
-- was done already, by call; null for a reservation.
CREATE FUNCTION quota_write(p_replica bigint, p_epoch integer, p_batch bigint, p_ended jsonb,
  -- Groups: claims of one key as their replica knows it, with their limits from `first` to `last`.
  g_key bigint[], g_revision integer[], g_at bigint[], g_record boolean[], g_gate text[], g_gate_max integer[],
  g_first integer[], g_last integer[],
  -- Limits: their group, and their period; in ms the bucket and the length of a window that slides.
  l_group integer[], l_id bigint[], l_start bigint[], l_end bigint[], l_bucket bigint[], l_window bigint[],
  -- Calls in the order in which they asked.
  c_group integer[], c_units bigint[], c_gate text[], c_gate_max integer[], c_upstream text[], c_upstream_revision bigint[],
  c_request_id text[], p_entry jsonb[]
) RETURNS jsonb
LANGUAGE plpgsql SET lock_timeout = '4s' AS $function$
DECLARE
  c_lease_ms CONSTANT bigint := 15000;
  c_units_of CONSTANT text[] := '{requests,tokens,cost}';
  v_now bigint := floor(extract(epoch FROM clock_timestamp()) * 1000);
  v_groups integer := coalesce(cardinality(g_key), 0);
  v_limits integer := coalesce(cardinality(l_id), 0);
  v_calls integer := coalesce(cardinality(c_group), 0);
  v_ended jsonb := '[]';

  v_gate text[] := '{}';
  v_gate_calls integer[] := '{}';
  v_gate_before integer[] := '{}';

  -- Counters by id: what is used and held, as it was and as it becomes, what of it was reserved here, and the room that
  -- there is in all.
  v_counter bigint[] := '{}';
  v_unit integer[] := '{}';
  v_before bigint[] := '{}';
  v_held_before bigint[] := '{}';
  v_used bigint[] := '{}';
  v_held bigint[] := '{}';
  v_reserved bigint[] := '{}';
  v_counter_room bigint[] := '{}';
  v_credited bigint[] := '{}';
  v_ready bigint[];
  v_ready_held bigint[];

  -- Limits: the id of their counter, its place among the counters, and what else counts in a window that slides.
  v_of bigint[];
  v_place integer[];
  v_other bigint[];
  v_room bigint[];
  v_slides boolean := false;
  v_buckets jsonb;

  v_state text[];
  v_known boolean[];
  v_answer text[];
  v_seq bigint[];
  v_key_gate integer;
  v_call_gate integer;

  v_g integer;
  v_i integer;
  v_p integer;
  v_n bigint;
  v_back bigint;
  v_fits boolean;
  v_changed integer := 0;
  v_written integer;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'the ledger needs READ COMMITTED' USING ERRCODE = 'QP002';
  END IF;
  IF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;

  UPDATE replicas SET batch = p_batch, lease_until = v_now + c_lease_ms
  WHERE seq = p_replica AND epoch = p_epoch AND batch < p_batch AND ended_at IS NULL;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'this replica may write no more' USING ERRCODE = 'QP001';
  END IF;

  IF p_ended IS NOT NULL THEN
    SELECT c.ended, c.gates INTO v_ended, v_gate FROM quota_close(p_ended) c;
  END IF;
  IF v_gate <> '{}' OR g_gate IS NOT NULL OR c_gate IS NOT NULL THEN
    SELECT g.names, g.before, g.calls INTO v_gate, v_gate_before, v_gate_calls
    FROM quota_gates(v_gate, coalesce(g_gate, '{}') || coalesce(c_gate, '{}')) g;
  END IF;

  -- A period that a replica takes to be the present one may be over: the clock of the database decides. Windows that slide
  -- begin where it says.
  v_state := array_fill('ok'::text, ARRAY[v_groups]);
  FOR v_p IN 1 .. v_limits LOOP
    v_g := l_group[v_p];
    v_n := coalesce(g_at[v_g], v_now);
    IF l_bucket[v_p] IS NOT NULL THEN
      v_slides := true;
      l_start[v_p] := v_n - v_n % l_bucket[v_p];
      l_end[v_p] := l_start[v_p] + l_bucket[v_p];
    ELSIF v_n < l_start[v_p] OR v_n >= l_end[v_p] THEN
      v_state[v_g] := 'again';
      -- No limit has this start: nothing is found, and nothing is opened.
      l_id[v_p] := 0;
    END IF;
  END LOOP;

  -- Every counter of the batch, locked in the order of the ids.
  IF v_limits > 0 THEN
    v_of := quota_find(l_id, l_start);
    IF v_slides OR array_position(v_of, NULL) IS NOT NULL THEN
      PERFORM quota_open(l_id, l_start, l_end, l_bucket, v_of,
        ARRAY(SELECT g_key[g] FROM unnest(l_group) WITH ORDINALITY t(g, n) ORDER BY n),
        ARRAY(SELECT g_revision[g] FROM unnest(l_group) WITH ORDINALITY t(g, n) ORDER BY n));
      v_of := quota_find(l_id, l_start);
    END IF;
  END IF;
  IF v_ended <> '[]' OR v_limits > 0 THEN
    WITH locked AS (
      SELECT c.id, c.unit, c.used, c.held, c.amount, c.credited FROM counters c
      WHERE c.id = ANY (v_of || ARRAY(SELECT n::bigint FROM jsonb_path_query(v_ended, '$[*].counters[*]') n))
      ORDER BY c.id FOR UPDATE
    )
    SELECT coalesce(array_agg(id), '{}'), coalesce(array_agg(array_position(c_units_of, unit)), '{}'),
      coalesce(array_agg(used), '{}'), coalesce(array_agg(held), '{}'), coalesce(array_agg(0::bigint), '{}'),
      coalesce(array_agg(CASE WHEN amount IS NOT NULL THEN greatest(0, amount + credited) END), '{}'),
      coalesce(array_agg(credited), '{}')
    INTO v_counter, v_unit, v_before, v_held_before, v_reserved, v_counter_room, v_credited FROM locked;
    v_used := v_before;
    v_held := v_held_before;
  END IF;

  IF v_ended <> '[]' THEN
    FOR v_p, v_n, v_back IN
      SELECT array_position(v_counter, n.id), d.charged, d.reserved
      FROM (SELECT n::bigint AS id, e FROM jsonb_array_elements(v_ended) e, jsonb_array_elements(e->'counters') n) n
      CROSS JOIN LATERAL (SELECT c_units_of[v_unit[array_position(v_counter, n.id)]] AS unit) u
      CROSS JOIN LATERAL (SELECT (n.e->>(u.unit || '_charged'))::bigint AS charged, (n.e->>(u.unit || '_reserved'))::bigint AS reserved) d
    LOOP
      -- A limit that was removed has taken its counters with it.
      CONTINUE WHEN v_p IS NULL;
      v_used[v_p] := v_used[v_p] + v_n - v_back;
      v_held[v_p] := v_held[v_p] - v_back;
    END LOOP;
  END IF;

  IF v_groups > 0 THEN
    -- The keys, read after all locks were got.
    SELECT array_agg(CASE
        WHEN v_state[g.n] <> 'ok' THEN v_state[g.n]
        WHEN k.seq IS NULL OR (k.deleted_at IS NOT NULL AND NOT g.record) THEN 'unknown'
        WHEN NOT k.enabled AND NOT g.record THEN 'disabled'
        WHEN k.expires_at <= coalesce(g.at, v_now) AND NOT g.record THEN 'expired'
        WHEN k.revision <> g.revision THEN 'changed'
        ELSE 'ok' END ORDER BY g.n)
    INTO v_state
    FROM unnest(g_key, g_revision, g_at, g_record) WITH ORDINALITY g(key, revision, at, record, n)
    LEFT JOIN keys k ON k.seq = g.key;
    IF c_upstream_revision IS NOT NULL THEN
      SELECT array_agg(c.revision IS NULL OR EXISTS (SELECT 1 FROM upstreams u
        WHERE u.name = c.upstream AND u.enabled AND u.revision = c.revision) ORDER BY n)
      INTO v_known FROM unnest(c_upstream, c_upstream_revision) WITH ORDINALITY c(upstream, revision, n);
    END IF;
    v_place := array_fill(NULL::integer, ARRAY[v_limits]);
    v_other := array_fill(0::bigint, ARRAY[v_limits]);
    v_room := array_fill(NULL::bigint, ARRAY[v_limits]);
    FOR v_p IN 1 .. v_limits LOOP
      v_place[v_p] := array_position(v_counter, v_of[v_p]);
      v_room[v_p] := v_counter_room[v_place[v_p]];
      -- A limit that has no counter was changed just now, and its key with it.
      IF v_place[v_p] IS NULL AND v_state[l_group[v_p]] = 'ok' THEN
        v_state[l_group[v_p]] := 'changed';
      END IF;
    END LOOP;
    IF v_slides THEN
      SELECT array_agg(coalesce(b.other, 0) ORDER BY l.n),
        array_agg(CASE WHEN m.amount IS NULL THEN NULL WHEN l.bucket IS NULL THEN v_room[l.n]
          ELSE greatest(0, m.amount + coalesce(b.credited, 0)) END ORDER BY l.n),
        jsonb_agg(b.buckets ORDER BY l.n)
      INTO v_other, v_room, v_buckets
      FROM unnest(l_id, l_start, l_bucket, l_window) WITH ORDINALITY l(id, start, bucket, "window", n)
      LEFT JOIN limits m ON m.id = l.id
      LEFT JOIN LATERAL (
        SELECT sum(CASE WHEN x.id = v_of[l.n] THEN 0 ELSE coalesce(v_used[p.i], x.used) END)::bigint AS other,
          sum(x.credited)::bigint AS credited,
          jsonb_agg(jsonb_build_array(x.id, x.period_start, coalesce(v_used[p.i], x.used), x.credited, coalesce(v_held[p.i], x.held))
            ORDER BY x.period_start) AS buckets
        FROM counters x CROSS JOIN LATERAL (SELECT array_position(v_counter, x.id) AS i) p
        WHERE l.bucket IS NOT NULL AND x.limit_id = l.id AND x.retired_at IS NULL AND x.period_start > l.start - l."window" - l.bucket
      ) b ON true;
    END IF;

    v_answer := array_fill(NULL::text, ARRAY[v_calls]);
    v_seq := array_fill(NULL::bigint, ARRAY[v_calls]);
    -- What was done already passes a limit if it must.
    FOR v_i IN 1 .. v_calls LOOP
      CONTINUE WHEN p_entry[v_i] IS NULL;
      v_g := c_group[v_i];
      v_answer[v_i] := v_state[v_g];
      CONTINUE WHEN v_state[v_g] <> 'ok';
      FOR v_p IN g_first[v_g] .. g_last[v_g] LOOP
        v_used[v_place[v_p]] := v_used[v_place[v_p]] + c_units[v_i * 3 - 3 + v_unit[v_place[v_p]]];
      END LOOP;
      v_seq[v_i] := nextval('call_seq');
      v_ended := v_ended || (p_entry[v_i] || jsonb_build_object('seq', v_seq[v_i], 'at', coalesce(g_at[v_g], v_now),
        'counters', v_of[g_first[v_g]:g_last[v_g]]));
    END LOOP;
    v_ready := v_used;
    v_ready_held := v_held;

    -- The charge.
    FOR v_i IN 1 .. v_calls LOOP
      CONTINUE WHEN p_entry[v_i] IS NOT NULL;
      v_g := c_group[v_i];
      v_key_gate := array_position(v_gate, g_gate[v_g]);
      v_call_gate := array_position(v_gate, c_gate[v_i]);
      v_answer[v_i] := CASE
        WHEN v_state[v_g] <> 'ok' THEN v_state[v_g]
        WHEN NOT v_known[v_i] THEN 'moved'
        WHEN v_gate_calls[v_key_gate] >= g_gate_max[v_g] THEN 'key_busy'
        WHEN v_gate_calls[v_call_gate] >= c_gate_max[v_i] THEN 'upstream_busy'
        ELSE 'ok' END;
      CONTINUE WHEN v_answer[v_i] <> 'ok';
      v_fits := true;
      FOR v_p IN g_first[v_g] .. g_last[v_g] LOOP
        v_n := c_units[v_i * 3 - 3 + v_unit[v_place[v_p]]];
        v_fits := v_fits AND coalesce(v_other[v_p] + v_used[v_place[v_p]] + v_n <= v_room[v_p], true);
      END LOOP;
      IF NOT v_fits THEN
        v_answer[v_i] := 'full';
        CONTINUE;
      END IF;
      FOR v_p IN g_first[v_g] .. g_last[v_g] LOOP
        v_n := c_units[v_i * 3 - 3 + v_unit[v_place[v_p]]];
        v_used[v_place[v_p]] := v_used[v_place[v_p]] + v_n;
        v_held[v_place[v_p]] := v_held[v_place[v_p]] + v_n;
        v_reserved[v_place[v_p]] := v_reserved[v_place[v_p]] + v_n;
      END LOOP;
      IF v_key_gate IS NOT NULL THEN
        v_gate_calls[v_key_gate] := v_gate_calls[v_key_gate] + 1;
      END IF;
      IF v_call_gate IS NOT NULL THEN
        v_gate_calls[v_call_gate] := v_gate_calls[v_call_gate] + 1;
      END IF;
      v_seq[v_i] := nextval('call_seq');
    END LOOP;

    INSERT INTO holds (seq, key_seq, at, upstream, request_id, requests, tokens, cost, counters, gates, replica, batch, place)
    SELECT v_seq[c.n], g_key[c.g], coalesce(g_at[c.g], v_now), c.upstream, c.request_id, c_units[c.n * 3 - 2],
      c_units[c.n * 3 - 1], c_units[c.n * 3], coalesce(v_of[g_first[c.g]:g_last[c.g]], '{}'),
      array_remove(ARRAY[g_gate[c.g], c_gate[c.n]], NULL), p_replica, p_batch, c.n
    FROM unnest(c_group, c_upstream, c_request_id) WITH ORDINALITY c(g, upstream, request_id, n)
    WHERE v_seq[c.n] IS NOT NULL AND p_entry[c.n] IS NULL;
  END IF;

  -- The guard stands in the statement that writes, whatever was reckoned above.
  FOR v_p IN 1 .. cardinality(v_counter) LOOP
    IF v_used[v_p] <> v_before[v_p] OR v_held[v_p] <> v_held_before[v_p] THEN
      v_changed := v_changed + 1;
    END IF;
  END LOOP;
  IF v_changed > 0 THEN
    UPDATE counters c SET used = c.used + d.u - d.b, held = c.held + d.h - d.hb
    FROM unnest(v_counter, v_before, v_used, v_held_before, v_held, v_reserved) d(id, b, u, hb, h, r)
    WHERE c.id = d.id AND (d.u <> d.b OR d.h <> d.hb) AND (d.r = 0 OR (c.retired_at IS NULL AND (c.amount IS NULL
      OR c.period_end - c.period_start < 7200000 OR c.used + d.u - d.b <= greatest(0, c.amount + c.credited))));
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
    'credited', to_jsonb(v_credited), 'of', to_jsonb(v_of), 'other', to_jsonb(v_other), 'buckets', v_buckets,
    'answers', to_jsonb(v_answer), 'seqs', to_jsonb(v_seq));
END
$function$;
--> statement-breakpoint
-- A batch touches a few rows of tables of any size, each by its key, and the planner cannot know that: it takes a list to be
-- long, or a table to be small. One plan does for all batches.
ALTER FUNCTION quota_write SET plan_cache_mode = force_generic_plan;
--> statement-breakpoint
ALTER FUNCTION quota_write SET jit = off;
--> statement-breakpoint
ALTER FUNCTION quota_write SET enable_seqscan = off;

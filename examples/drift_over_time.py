"""Does a track get worse the longer it runs? With DuckDB, which reads the file in pieces.

    python examples/drift_over_time.py results.parquet

The cells marked `# %%` run one by one in editors that know them.
"""

# %% A view names the file once; a folder of results is read with its name and "/*.parquet".
import sys

import duckdb

con = duckdb.connect()
con.read_parquet(sys.argv[1]).create_view("results")

# %% IoU by quarter of the track: steps are counted from its start, so that long and short tracks go together.
quarters = con.sql("""
    with tracks as (
        select *, max(step) over (partition by take_uid, object, query_cam, target_cam) as last_step
        from (select take_uid, object, query_cam, target_cam, direction, step, iou, confidence from results)
    )
    select direction,
           least(4 * step // (last_step + 1), 3) + 1 as quarter,
           count(iou) as frames,
           round(avg(iou), 3) as iou,
           round(avg(confidence), 3) as confidence
    from tracks
    group by all
    order by all
""")
print("IoU by quarter of the track")
print(quarters)

# %% The tracks that lose most between their first and last third.
losers = con.sql("""
    with tracks as (
        select take_name, object, query_cam, target_cam, direction, step, iou,
               max(step) over (partition by take_uid, object, query_cam, target_cam) as last_step
        from results
        where iou is not null
    )
    select take_name, object, query_cam, target_cam,
           round(avg(iou) filter (3 * step <= last_step), 3) as at_first,
           round(avg(iou) filter (3 * step >= 2 * last_step), 3) as at_last,
           round(at_last - at_first, 3) as change
    from tracks
    where last_step >= 3
    group by all
    order by change
    limit 5
""")
print("Tracks that lose most")
print(losers)

# %% Once lost, does an object come back? After frames without overlap, how often is the next one good again?
recovery = con.sql("""
    with steps as (
        select direction, iou,
               lag(iou) over (partition by take_uid, object, query_cam, target_cam order by frame) as before
        from results
        where iou is not null
    )
    select direction, count(*) as frames_after_a_loss, round(avg((iou > 0.5)::int), 3) as recovered
    from steps
    where before = 0
    group by direction
    order by direction
""")
print("Recovery after a loss")
print(recovery)

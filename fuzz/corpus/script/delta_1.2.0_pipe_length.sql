-- Says what to do when a surveyed length cannot be.

create or replace function water.set_pipe_length() returns trigger
    language plpgsql
    as $$
declare
    straight numeric;
begin
    select sqrt((b.x - a.x) ^ 2 + (b.y - a.y) ^ 2) into straight
      from water.node a, water.node b
     where a.id = new.from_node and b.id = new.to_node;
    if new.surveyed_m < straight * 0.98 then
        raise exception using
            errcode = 'check_violation',
            message = concat('pipe ', new.id, ' is surveyed shorter than its nodes are apart'),
            detail = concat(new.surveyed_m, ' m surveyed, ', round(straight, 2), ' m apart'),
            hint = 'Correct surveyed_m, or the position of one of the nodes.';
    end if;
    new.length_m := round(coalesce(new.surveyed_m, straight), 2);
    return new;
end
$$;

create transform for integer language plpgsql (from sql with function f(internal));

create transform for integer language sql (from sql with function f(internal));

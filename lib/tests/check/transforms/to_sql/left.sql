create transform for integer language sql (from sql with function f(internal), to sql with function t(internal));

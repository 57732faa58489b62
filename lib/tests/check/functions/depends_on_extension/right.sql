alter function f() depends on extension plpgsql;

create trigger x before update on t for each row when (old.a > 0) execute function f();

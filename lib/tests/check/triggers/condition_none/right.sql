create trigger x before update on t for each row when (new.a > 0) execute function f();

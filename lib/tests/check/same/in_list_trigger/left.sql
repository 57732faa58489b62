create trigger x before update on t for each row when (new.b in ('a', 'b')) execute function f();

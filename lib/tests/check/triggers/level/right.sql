create trigger x before update on t for each statement execute function f();

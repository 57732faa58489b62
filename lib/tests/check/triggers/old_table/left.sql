create trigger x after update on t for each statement execute function f();

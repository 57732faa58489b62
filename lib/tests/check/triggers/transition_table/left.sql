create trigger x after insert on t for each statement execute function f();

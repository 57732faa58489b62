create trigger x after insert on t for each row execute function f();

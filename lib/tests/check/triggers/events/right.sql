create trigger x before insert or delete on t for each row execute function f();

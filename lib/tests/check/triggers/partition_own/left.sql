create trigger x before insert on t1 for each row execute function f();

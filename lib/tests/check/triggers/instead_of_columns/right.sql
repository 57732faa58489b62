create trigger x instead of insert or delete on v for each row execute function f();

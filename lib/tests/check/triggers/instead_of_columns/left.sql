create trigger x instead of insert on v for each row execute function f();

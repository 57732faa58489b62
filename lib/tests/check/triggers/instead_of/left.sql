create trigger x instead of update on v for each row execute function f();

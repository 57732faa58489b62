create trigger x before update of a on t for each row execute function f();

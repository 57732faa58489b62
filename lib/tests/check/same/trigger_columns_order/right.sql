create trigger x before update of b, a on t for each row execute function f();

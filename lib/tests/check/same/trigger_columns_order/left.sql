create trigger x before update of a, b on t for each row execute function f();

create trigger x before update of b on t for each row execute function f();

create trigger x before update on t for each row execute function s1.f();

create trigger x after truncate on t execute function f();

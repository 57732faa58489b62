create trigger x after delete on t execute function f();

int callee;

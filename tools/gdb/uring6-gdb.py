"""gdb commands for a program with uring6, of a process that was stopped or of its core. gdb loads this file by itself with
the library, if the library is installed (docs/guide/debugging.md). It needs the debug information of the library.

    (gdb) uring6-tasks      the live tasks of each loop: where each was spawned, what it waits for, and in which coroutine

It reads memory alone and calls nothing, so a loop that hangs in the program's own code is shown, too. A thread that was
stopped in the library may be about to change a list: then one task may be missing."""

import bisect

import gdb

DETAIL = "uring6::v0::detail::"
HEADER_MARK = 0x757236  # above the size of a frame, in the word before it (lib/runtime/task/frame.cpp)
SIZE_BITS = 40
LONGEST_LIST = 1_000_000  # elements: a list that was read while it changed may have no end


def pointer_to(name):
    return gdb.lookup_type(name).pointer()


def text_of(view):
    length = int(view["_M_len"])
    return view["_M_str"].string(length=length) if length else ""


def elements(intrusive, *types):
    """The elements of an intrusive_list: pointers to its hooks, cast to each of the types in turn."""
    head = intrusive["head_"].address
    at = intrusive["head_"]["next"]
    for _ in range(LONGEST_LIST):
        if int(at) in (0, int(head)):
            return
        element = at
        for name in types:
            element = element.cast(pointer_to(name))
        yield element.dereference()
        at = at["next"]


def place(location):
    implementation = location["_M_impl"]
    if not int(implementation) or not int(implementation["_M_line"]):
        return ""
    file = implementation["_M_file_name"].string()
    return f" {file.rsplit('/', 1)[-1]}:{int(implementation['_M_line'])}"


def function_at(frame):
    """The name of the coroutine that a frame belongs to: the first word of the frame is the address of its code."""
    code = int(gdb.Value(int(frame)).cast(pointer_to("unsigned long")).dereference())
    if code == 0:
        return "a coroutine at its end"
    symbol = gdb.execute(f"info symbol {code:#x}", to_string=True)
    if symbol.startswith("No symbol"):
        return f"{code:#x}"
    name = symbol.split(" in section ")[0].removesuffix(" [clone .actor]").removesuffix(" [clone .resume]")
    line = gdb.find_pc_line(code)
    at = f" at {line.symtab.filename.rsplit('/', 1)[-1]}:{line.line}" if line.symtab else ""
    # "serve(serve(int)::_Z5servei.Frame*)" and, of clang, "serve(int)": the outermost name is the program's.
    depth = 0
    for index, letter in enumerate(name):
        depth += (letter == "<") - (letter == ">")
        if letter == "(" and depth == 0 and index > 0 and not name.startswith("(anonymous", index):
            name = name[:index]
            break
    return name + at


class Task:
    def __init__(self, origin, where, scope=0):
        self.origin, self.where, self.scope = origin, where, scope
        self.state = ""
        self.frames = []
        self.children = []


class Loop:
    """The tasks of one loop_core, as lib/runtime/loop/task_lister.cpp finds them."""

    def __init__(self, core):
        self.core = core
        self.resumed = int(core["resumed_"])
        self.top = []
        self.joiners = {}
        self.ranges = []
        orphans = []
        for root in elements(core["roots_"], DETAIL + "task_root"):
            whole = root.cast(root.dynamic_type)
            kind = str(whole.type.strip_typedefs())
            if kind.endswith("main_task"):
                task = Task("run", place(whole["where_"]))
                self.walk(task, whole["promise_"])
                self.top.append(task)
            elif kind == "uring6::v0::scope":
                for child in self.children_of(whole):
                    task = Task("scope", place(child["where"]), int(root.address))
                    self.walk(task, child)
                    orphans.append(task)
            else:
                task = Task("sender", "")
                self.walk(task, whole["running_"]["_M_fr_ptr"])  # no debugger knows where its promise is
                self.top.append(task)
        self.ranges.sort(key=lambda each: each[0])
        for task in orphans:
            parent = self.holder_of(task.scope)
            (parent.children if parent else self.top).append(task)

    @staticmethod
    def children_of(owner):
        return elements(owner["children_"], DETAIL + "sibling_hook", DETAIL + "child_promise")

    def walk(self, task, promise):
        """From the task's first coroutine down to its operation."""
        if promise.type.code == gdb.TYPE_CODE_PTR:
            task.frames.append(int(promise))
            task.state = "work of a sender"
            return
        promise = promise.referenced_value() if promise.type.code == gdb.TYPE_CODE_REF else promise
        while True:
            frame = int(promise["frame_"])
            task.frames.append(frame)
            self.note_range(frame, task)
            wait = promise["wait_"]
            if not int(wait) or frame == self.resumed:
                task.state = "runs" if int(wait) or not self.is_queued(promise) else "is about to begin"
                return
            operation = text_of(wait["operation"])
            awaiter = promise["awaiter_"]
            if operation == "task":
                promise = awaiter.cast(pointer_to(DETAIL + "task_wait"))["awaited"].dereference()
                continue
            task.state = f"waits for {operation}{self.descriptor_of(wait, awaiter)}"
            return self.follow(task, operation, awaiter)

    def follow(self, task, operation, awaiter):
        if operation == "scope::join":
            scope = awaiter.cast(pointer_to(DETAIL + "join_operation"))["scope_"]
            self.joiners[int(scope.cast(pointer_to(DETAIL + "task_root")))] = task
        if operation == "select":
            awaiter = gdb.Value(int(awaiter)).cast(pointer_to("void").pointer()).dereference()
        if operation in ("when_all", "when_any", "select", "with_timeout", "with_stop", "shield"):
            for child in self.children_of(awaiter.cast(pointer_to(DETAIL + "siblings")).dereference()):
                below = Task(operation, "")
                self.walk(below, child)
                task.children.append(below)

    @staticmethod
    def is_queued(promise):
        try:
            child = promise.address.cast(pointer_to(DETAIL + "child_promise")).dereference()
            return str(promise.type.strip_typedefs()).endswith("child_promise") and int(
                child.cast(gdb.lookup_type(DETAIL + "ready_node"))["next"]) != 0
        except gdb.error:
            return False

    @staticmethod
    def descriptor_of(wait, awaiter):
        """", fd 7", if the type of the awaiter can be found by the name of its wait_kind."""
        symbol = gdb.execute(f"info symbol {int(wait):#x}", to_string=True)
        _, found, rest = symbol.partition("wait_kind_of<")
        try:
            operation = awaiter.cast(pointer_to(rest.rpartition(">")[0])).dereference() if found else None
        except gdb.error:
            return ""
        for path in (("socket_",), ("queue_",), ()):
            try:
                value = operation
                for name in path:
                    value = value[name].dereference()
                number = value["fd_"]
                number = number if number.type.code == gdb.TYPE_CODE_INT else number[number.type.fields()[0].name]
                return f", fd {int(number)}"
            except (gdb.error, TypeError):
                continue
        return ""

    def note_range(self, frame, task):
        word = int(gdb.Value(frame - 8).cast(pointer_to("unsigned long")).dereference())
        if word >> SIZE_BITS == HEADER_MARK:
            self.ranges.append((frame, frame + (word & ((1 << SIZE_BITS) - 1)), task))

    def holder_of(self, scope):
        if scope in self.joiners:
            return self.joiners[scope]
        index = bisect.bisect_right([each[0] for each in self.ranges], scope) - 1
        return self.ranges[index][2] if index >= 0 and scope < self.ranges[index][1] else None

    def show(self):
        open_tasks = [(task, 0) for task in reversed(self.top)]
        if not open_tasks:
            print("  no tasks")
        while open_tasks:
            task, depth = open_tasks.pop()
            indent = "  " * (depth + 1)
            print(f"{indent}{task.origin}{task.where}: {task.state}")
            for frame in task.frames:
                print(f"{indent}    in {function_at(frame)}")
            open_tasks += [(child, depth + 1) for child in reversed(task.children)]


class Tasks(gdb.Command):
    """The live tasks of each uring6 loop: where each was spawned, what it waits for, and in which coroutine."""

    def __init__(self):
        super().__init__("uring6-tasks", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        chosen = gdb.selected_thread()
        if chosen is None:
            raise gdb.GdbError("uring6-tasks: there is no process and no core")
        found = False
        try:
            for thread in sorted(gdb.selected_inferior().threads(), key=lambda each: each.num):
                thread.switch()
                core = gdb.parse_and_eval(f"({DETAIL}loop_core*)'{DETAIL}running_loop'")
                if int(core) == 0:
                    continue
                found = True
                print(f"thread {thread.num} ({thread.name}), loop {int(core):#x}:")
                Loop(core.dereference()).show()
        except gdb.error as problem:
            raise gdb.GdbError(f"uring6-tasks: {problem} (are the debug information of the library and that of this "
                               "version there?)")
        finally:
            chosen.switch()
        if not found:
            print("no thread runs a loop")


Tasks()
